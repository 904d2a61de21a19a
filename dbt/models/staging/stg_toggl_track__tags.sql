select
    id as tag_id,
    workspace_id,
    name,
    creator_id,
    integration_ext_id,
    integration_ext_type,
    integration_provider,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'tags') }}
