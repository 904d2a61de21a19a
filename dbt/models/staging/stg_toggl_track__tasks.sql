select
    id as task_id,
    workspace_id,
    project_id,
    user_id,
    name,
    active as is_active,
    estimated_seconds,
    tracked_seconds,
    recurring as is_recurring,
    rate,
    rate_last_updated,
    external_reference,
    integration_ext_id,
    integration_ext_type,
    integration_provider,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'tasks') }}
