select
    id as client_id,
    workspace_id,
    name,
    archived as is_archived,
    notes,
    creator_id,
    external_reference,
    integration_ext_id,
    integration_ext_type,
    integration_provider,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'clients') }}
