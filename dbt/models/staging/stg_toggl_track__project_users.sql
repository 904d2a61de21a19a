select
    id as project_user_id,
    workspace_id,
    project_id,
    user_id,
    group_id,
    manager as is_manager,
    rate,
    rate_last_updated,
    labor_cost,
    labor_cost_last_updated,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'project_users') }}
