-- One row per person and week, from the first to the last week in which the person tracked time.
{%- set counted = toggl_track.choice('toggl_utilization', ['billable', 'all']) %}
with recursive tracked as (

    select
        workspace_id,
        user_id,
        {{ toggl_track.week_of('local_date') }} as week,
        sum(seconds) as seconds,
        sum(case when is_billable then seconds else 0 end) as billable_seconds
    from {{ ref('fct_time_entry_days') }}
    group by 1, 2, 3

),

spans as (

    select workspace_id, user_id, min(week) as week, max(week) as last_week
    from tracked
    group by workspace_id, user_id

),

weeks as (

    select workspace_id, user_id, week, last_week from spans

    union all

    select workspace_id, user_id, {{ toggl_track.add_days('week', 7) }} as week, last_week
    from weeks
    where week < last_week

),

totals as (

    select
        weeks.workspace_id,
        weeks.user_id,
        weeks.week,
        {{ toggl_track.hours('coalesce(tracked.seconds, 0)') }} as hours,
        {{ toggl_track.hours('coalesce(tracked.billable_seconds, 0)') }} as billable_hours,
        members.weekly_hours as available_hours,
        members.weekly_hours_source as available_hours_source
    from weeks
    left join tracked
        on tracked.workspace_id = weeks.workspace_id
        and tracked.user_id = weeks.user_id
        and tracked.week = weeks.week
    left join {{ ref('int_toggl_track__members') }} as members
        on members.workspace_id = weeks.workspace_id and members.user_id = weeks.user_id

)

select
    workspace_id,
    user_id,
    week,
    hours,
    billable_hours,
    available_hours,
    available_hours_source,
    {{ toggl_track.quotient('billable_hours' if counted == 'billable' else 'hours', 'available_hours') }} as utilization,
    {{ toggl_track.quotient('billable_hours', 'hours') }} as billable_share
from totals
