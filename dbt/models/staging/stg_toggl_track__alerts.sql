{{ config(enabled=var('toggl_using_alerts', false)) }}

select
    id as alert_id,
    workspace_id,
    project_id,
    client_id,
    object_type,
    source_kind,
    threshold_type,
    threshold,
    thresholds,
    receivers,
    receiver_roles,
    receiver_users,
    receiver_groups,
    errors,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'alerts') }}
