{{ config(enabled=var('toggl_using_timesheets', false)) }}

select
    id as timesheet_id,
    workspace_id,
    timesheet_setup_id,
    start_date,
    end_date,
    period_start,
    period_end,
    member_id,
    approver_id,
    approver_ids,
    status,
    submitted_at,
    approved_or_rejected_at,
    approved_or_rejected_id,
    rejection_comment,
    review_layer,
    reviews,
    period_locked,
    period_editable,
    periodicity,
    timezone,
    working_hours_in_minutes,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'timesheets') }}
