-- channel: view
-- object: public.board
-- says: The view under the view runs as its owner again; both show every workspace.
alter view public.board set (security_invoker = false);
-- exploit as mallory
select from public.board_counts where workspace_id = :org_b;
-- leaks when rows
