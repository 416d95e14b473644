-- channel: materialized view
-- object: private.ticket_counts
-- says: The dashboard reads the materialized view directly; it cannot have policies.
grant select on private.ticket_counts to authenticated;
-- exploit as adam
select from private.ticket_counts where org_id = :org_b;
-- leaks when rows
