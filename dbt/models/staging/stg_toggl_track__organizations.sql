{{ config(enabled=var('toggl_using_organizations', false)) }}

select
    id as organization_id,
    workspace_id,
    name,
    pricing_plan_id,
    pricing_plan_name,
    pricing_plan_enterprise,
    is_multi_workspace_enabled,
    max_workspaces,
    user_count,
    max_data_retention_days,
    suspended_at,
    created_at,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'organizations') }}
