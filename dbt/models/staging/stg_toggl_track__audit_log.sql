{{ config(enabled=var('toggl_using_audit_log', false)) }}

select
    id as audit_log_id,
    workspace_id,
    created_at,
    user_id,
    action,
    entity_type,
    entity_id,
    record,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'audit_log') }}
