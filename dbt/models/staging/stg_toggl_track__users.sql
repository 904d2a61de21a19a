select
    id as user_id,
    workspace_id,
    email,
    fullname,
    inactive as is_inactive,
    is_active,
    is_admin,
    role,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'users') }}
