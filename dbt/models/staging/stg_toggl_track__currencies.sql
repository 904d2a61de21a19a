{{ config(enabled=var('toggl_using_currencies', false)) }}

select
    id as currency_id,
    workspace_id,
    iso_code,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'currencies') }}
