{{ config(enabled=var('toggl_using_project_groups', false)) }}

select
    id as project_group_id,
    workspace_id,
    project_id,
    group_id,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'project_groups') }}
