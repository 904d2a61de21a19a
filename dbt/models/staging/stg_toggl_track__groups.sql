select
    id as group_id,
    workspace_id,
    name,
    user_ids,
    workspace_ids,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'groups') }}
