-- --8<-- [start:clients]
select
    date_trunc('month', local_date) as month,
    coalesce(client_name, '(no client)') as client,
    round(sum(hours)) as hours
from toggl.time_entry_facts
group by 1, 2
order by 1 desc, 3 desc;
-- --8<-- [end:clients]

-- --8<-- [start:billable]
select
    user_name,
    round(sum(hours)) as hours,
    round(100 * sum(case when billable then hours else 0 end) / sum(hours)) as billable_percent
from toggl.time_entry_facts
where local_date >= current_date - 90
group by 1
having sum(hours) > 0
order by 3;
-- --8<-- [end:billable]

-- --8<-- [start:amounts]
select
    coalesce(client_name, '(no client)') as client,
    coalesce(project_name, '(no project)') as project,
    currency,
    sum(amount) as amount
from toggl.time_entry_facts
where billable and local_date between '2026-10-01' and '2026-10-31'
group by 1, 2, 3
order by 1, 2;
-- --8<-- [end:amounts]

-- --8<-- [start:tag]
select project_name, round(sum(hours)) as hours
from toggl.time_entry_facts
where 'meeting' = any(tag_names)
group by 1
order by 2 desc;
-- --8<-- [end:tag]

-- --8<-- [start:silent]
select users.fullname, max(facts.local_date) as last_day
from toggl.users
    left join toggl.time_entry_facts as facts on facts.user_id = users.id
where users.is_active and users.absent_at is null
group by users.id, users.fullname
having max(facts.local_date) is null or max(facts.local_date) < current_date - 3
order by 2;
-- --8<-- [end:silent]

-- --8<-- [start:estimates]
select
    projects.name,
    round(sum(facts.hours)) as hours,
    round(projects.estimated_seconds / 3600.0) as estimated
from toggl.projects
    join toggl.time_entry_facts as facts on facts.project_id = projects.id
where projects.estimated_seconds > 0
group by projects.id, projects.name, projects.estimated_seconds
order by sum(facts.hours) / projects.estimated_seconds desc;
-- --8<-- [end:estimates]

-- --8<-- [start:unsorted]
select user_name, local_date, description, round(hours * 60) as minutes
from toggl.time_entry_facts
where project_id is null and local_date >= current_date - 30
order by 1, 2;
-- --8<-- [end:unsorted]

-- --8<-- [start:fresh]
select stream, scope, watermark, last_run_at
from toggl.sync_state
where watermark is not null
order by watermark;
-- --8<-- [end:fresh]
