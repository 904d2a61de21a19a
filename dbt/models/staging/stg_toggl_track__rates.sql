{{ config(enabled=var('toggl_using_rates', false)) }}

select
    id as rate_id,
    workspace_id,
    type,
    level,
    level_id,
    user_id,
    project_id,
    task_id,
    amount,
    currency,
    "start" as valid_from,
    "end" as valid_to,
    rate_change_mode,
    creator_id,
    created_at,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'rates') }}
