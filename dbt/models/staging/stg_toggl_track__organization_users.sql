{{ config(enabled=var('toggl_using_organization_users', false)) }}

select
    id as organization_user_id,
    workspace_id,
    organization_id,
    user_id,
    name,
    email,
    role_id,
    joined,
    inactive as is_inactive,
    group_ids,
    workspace_count,
    user_workspaces,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'organization_users') }}
