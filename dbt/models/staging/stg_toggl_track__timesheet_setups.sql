{{ config(enabled=var('toggl_using_timesheets', false)) }}

select
    id as timesheet_setup_id,
    workspace_id,
    member_id,
    approver_id,
    approver_ids,
    approvers_layers,
    periodicity,
    start_date,
    end_date,
    reminder_day,
    reminder_time,
    email_reminder_enabled,
    slack_reminder_enabled,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'timesheet_setups') }}
