-- One row per project: those of the workspace, and those that only a time entry names.
with tracked as (

    select distinct project_id
    from {{ ref('stg_toggl_track__time_entries') }}
    where not is_deleted and project_id is not null

)

select
    coalesce(projects.project_id, tracked.project_id) as project_id,
    projects.workspace_id,
    projects.name as project_name,
    projects.client_id,
    clients.client_name,
    projects.is_active,
    projects.is_private,
    projects.is_billable,
    projects.status,
    projects.color,
    {{ toggl_track.hours('projects.estimated_seconds') }} as estimated_hours,
    projects.fixed_fee,
    projects.rate,
    projects.currency,
    projects.is_recurring,
    cast(projects.current_period ->> 'start_date' as date) as period_start,
    cast(projects.current_period ->> 'end_date' as date) as period_end,
    projects.start_date,
    projects.end_date,
    coalesce(projects.is_deleted, true) as is_deleted
from {{ ref('stg_toggl_track__projects') }} as projects
full outer join tracked on tracked.project_id = projects.project_id
left join {{ ref('dim_client') }} as clients on clients.client_id = projects.client_id
