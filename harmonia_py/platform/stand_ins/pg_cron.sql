-- Jobs are kept and listed; nothing runs them.
create schema cron;
create sequence cron.jobid_seq;
create sequence cron.runid_seq;
create table cron.job (
    jobid bigint not null default nextval('cron.jobid_seq') primary key,
    schedule text not null,
    command text not null,
    nodename text not null default 'localhost',
    nodeport integer not null default pg_catalog.inet_server_port(),
    database text not null default pg_catalog.current_database(),
    username text not null default current_user,
    active boolean not null default true,
    jobname text,
    constraint jobname_username_uniq unique (jobname, username)
);
alter table cron.job alter column nodeport set default 5432;
alter table cron.job enable row level security;
create policy cron_job_policy on cron.job using (username = current_user);
create table cron.job_run_details (
    jobid bigint,
    runid bigint not null default nextval('cron.runid_seq') primary key,
    job_pid integer,
    database text,
    username text,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);
alter table cron.job_run_details enable row level security;
create policy cron_job_run_details_policy on cron.job_run_details
using (username = current_user);

create function cron.schedule(job_name text, schedule text, command text)
returns bigint
language plpgsql security definer
set search_path = ''
as $$
declare
    v_id bigint;
begin
    if schedule is null or command is null then
        raise exception 'schedule and command must not be null';
    end if;
    if schedule !~ '^\s*([0-9]+ seconds?|@\w+|\S+(\s+\S+){4})\s*$' then
        raise exception 'invalid schedule: %', schedule
            using hint = 'Use cron format (e.g. 5 4 * * *), or interval format ''[1-59] seconds''';
    end if;
    insert into cron.job (schedule, command, jobname, username)
    values (schedule, command, job_name, session_user)
    on conflict on constraint jobname_username_uniq
    do update set schedule = excluded.schedule, command = excluded.command
    returning jobid into v_id;
    return v_id;
end;
$$;
create function cron.schedule(schedule text, command text)
returns bigint language sql
as $$ select cron.schedule(null, schedule, command) $$;
create function cron.schedule_in_database(
    job_name text, schedule text, command text, database text, username text default null,
    active boolean default true
)
returns bigint language sql
as $$ select cron.schedule(job_name, schedule, command) $$;
create function cron.unschedule(job_id bigint)
returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    delete from cron.job where jobid = job_id;
    if not found then
        raise exception 'could not find valid entry for job ''%''', job_id;
    end if;
    return true;
end;
$$;
create function cron.unschedule(job_name text)
returns boolean
language plpgsql security definer
set search_path = ''
as $$
begin
    delete from cron.job where jobname = job_name;
    if not found then
        raise exception 'could not find valid entry for job ''%''', job_name;
    end if;
    return true;
end;
$$;
create function cron.alter_job(
    job_id bigint, schedule text default null, command text default null,
    database text default null, username text default null, active boolean default null
)
returns void
language sql security definer
set search_path = ''
as $$
    update cron.job as j
    set schedule = coalesce(alter_job.schedule, j.schedule),
        command = coalesce(alter_job.command, j.command),
        active = coalesce(alter_job.active, j.active)
    where j.jobid = job_id
$$;
revoke execute on all functions in schema cron from public;
grant usage on schema cron to postgres with grant option;
grant execute on all functions in schema cron to postgres with grant option;
grant all on table cron.job_run_details to postgres with grant option;
grant select on table cron.job to postgres with grant option;
