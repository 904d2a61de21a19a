-- One row per client: those of the workspace, and those that only a project names.
with named as (

    select distinct client_id from {{ ref('stg_toggl_track__projects') }} where client_id is not null

)

select
    coalesce(clients.client_id, named.client_id) as client_id,
    clients.workspace_id,
    clients.name as client_name,
    clients.is_archived,
    coalesce(clients.is_deleted, true) as is_deleted
from {{ ref('stg_toggl_track__clients') }} as clients
full outer join named on named.client_id = clients.client_id
