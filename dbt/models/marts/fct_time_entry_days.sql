-- One row per time entry and local day: stopped entries, split at midnight in `toggl_timezone`.
with recursive entries as (

    select
        time_entry_id,
        workspace_id,
        user_id,
        project_id,
        client_id,
        task_id,
        is_billable,
        local_date as first_date,
        started_at,
        {{ toggl_track.add_seconds('started_at', 'seconds') }} as ended_at
    from {{ ref('fct_time_entries') }}
    where not is_running

),

spans as (

    select
        time_entry_id,
        started_at,
        ended_at,
        first_date,
        greatest(first_date, {{ toggl_track.local_date(toggl_track.add_seconds('ended_at', -1)) }}) as last_date
    from entries

),

days as (

    select time_entry_id, first_date as local_date, last_date from spans

    union all

    select time_entry_id, {{ toggl_track.add_days('local_date', 1) }} as local_date, last_date
    from days
    where local_date < last_date

),

pieces as (

    select
        days.time_entry_id,
        days.local_date,
        case
            when days.local_date = spans.first_date then spans.started_at
            else {{ toggl_track.local_midnight('days.local_date') }}
        end as started_at,
        case
            when days.local_date = spans.last_date then spans.ended_at
            else {{ toggl_track.local_midnight(toggl_track.add_days('days.local_date', 1)) }}
        end as ended_at
    from days
    join spans on spans.time_entry_id = days.time_entry_id

)

select
    pieces.time_entry_id,
    pieces.local_date,
    entries.workspace_id,
    entries.user_id,
    entries.project_id,
    entries.client_id,
    entries.task_id,
    entries.is_billable,
    pieces.started_at,
    pieces.ended_at,
    {{ toggl_track.seconds_between('pieces.started_at', 'pieces.ended_at') }} as seconds,
    {{ toggl_track.hours(toggl_track.seconds_between('pieces.started_at', 'pieces.ended_at')) }} as hours
from pieces
join entries on entries.time_entry_id = pieces.time_entry_id
