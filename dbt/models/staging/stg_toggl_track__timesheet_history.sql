{{ config(enabled=var('toggl_using_timesheet_history', false)) }}

select
    id as timesheet_history_id,
    workspace_id,
    timesheet_setup_id,
    start_date,
    member_id,
    timesheet_status,
    created_at,
    user_id,
    action,
    record,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'timesheet_history') }}
