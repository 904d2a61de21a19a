{{ config(enabled=var('toggl_using_project_periods', false)) }}

select
    id as project_period_id,
    workspace_id,
    project_id,
    start_date,
    end_date,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'project_periods') }}
