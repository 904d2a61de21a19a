select
    id as time_entry_id,
    workspace_id,
    user_id,
    project_id,
    task_id,
    description,
    billable as is_billable,
    tag_ids,
    "start" as started_at,
    "stop" as stopped_at,
    duration as seconds,
    hourly_rate_cents,
    billable_amount_cents,
    currency,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'time_entries') }}
