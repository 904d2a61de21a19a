-- One row per timesheet: whose days, in which state, and what changed after it was approved.
{{ config(enabled=var('toggl_using_timesheets', false)) }}

-- Toggl's list has the present state only. The snapshot has the states that earlier builds saw.
with states as (

    select
        timesheet_id,
        status,
        approved_or_rejected_at,
        lag(status) over (partition by timesheet_id order by dbt_valid_from) as status_before,
        lag(approved_or_rejected_at) over (partition by timesheet_id order by dbt_valid_from) as decided_before
    from {{ ref('snap_toggl_track__timesheets') }}

),

decisions as (

    select
        timesheet_id,
        max(case when status = 'approved' then approved_or_rejected_at end) as approved_at,
        sum(
            case
                when status_before = 'approved'
                    and (status <> 'approved' or approved_or_rejected_at is distinct from decided_before)
                    then 1
                else 0
            end
        ) as times_reopened
    from states
    group by timesheet_id

),

sheets as (

    select sheets.*, decisions.approved_at, coalesce(decisions.times_reopened, 0) as times_reopened
    from {{ ref('stg_toggl_track__timesheets') }} as sheets
    left join decisions on decisions.timesheet_id = sheets.timesheet_id
    where not sheets.is_deleted

),

entries as (

    select
        sheets.timesheet_id,
        coalesce(entries.seconds, 0) as seconds,
        entries.is_deleted,
        entries.updated_at > sheets.approved_at as is_edited_later,
        entries.deleted_at > sheets.approved_at as is_deleted_later
    from sheets
    join {{ ref('stg_toggl_track__time_entries') }} as entries
        on entries.workspace_id = sheets.workspace_id
        and entries.user_id = sheets.member_id
    where {{ toggl_track.local_date('entries.started_at') }} between sheets.start_date and sheets.end_date

),

totals as (

    select
        timesheet_id,
        sum(case when is_deleted then 0 else seconds end) as seconds,
        sum(case when not is_deleted and is_edited_later then 1 else 0 end) as edited_after_approval,
        sum(case when is_deleted and is_deleted_later then 1 else 0 end) as deleted_after_approval
    from entries
    group by timesheet_id

)

select
    sheets.timesheet_id,
    sheets.workspace_id,
    sheets.member_id as user_id,
    sheets.approver_id,
    sheets.start_date,
    sheets.end_date,
    sheets.status,
    sheets.submitted_at,
    sheets.approved_or_rejected_at,
    sheets.approved_or_rejected_id,
    sheets.rejection_comment,
    sheets.approved_at,
    sheets.times_reopened,
    {{ toggl_track.hours('coalesce(totals.seconds, 0)') }} as hours,
    coalesce(totals.edited_after_approval, 0) as edited_after_approval,
    coalesce(totals.deleted_after_approval, 0) as deleted_after_approval
from sheets
left join totals on totals.timesheet_id = sheets.timesheet_id
