{{ config(enabled=var('toggl_using_time_entry_constraints', false)) }}

select
    id as time_entry_constraints_id,
    workspace_id,
    time_entry_constraints_enabled,
    description_present,
    project_present,
    task_present,
    tag_present,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'time_entry_constraints') }}
