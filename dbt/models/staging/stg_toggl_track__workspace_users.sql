{{ config(enabled=var('toggl_using_workspace_users', false)) }}

select
    id as workspace_user_id,
    workspace_id,
    user_id,
    name,
    email,
    role,
    role_id,
    active as is_active,
    inactive as is_inactive,
    is_direct,
    workspace_admin,
    organization_admin,
    group_ids,
    rate,
    rate_last_updated,
    labor_cost,
    labor_cost_last_updated,
    working_hours_in_minutes,
    timezone,
    view_edit_billable_rates,
    view_edit_labor_costs,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'workspace_users') }}
