-- One row per user: those of the workspace, and those who only have time entries.
with tracked as (

    select distinct user_id from {{ ref('stg_toggl_track__time_entries') }} where not is_deleted

)

select
    coalesce(users.user_id, tracked.user_id) as user_id,
    users.fullname,
    users.email,
    users.role,
    users.is_inactive,
    coalesce(users.is_deleted, true) as is_deleted
from {{ ref('stg_toggl_track__users') }} as users
full outer join tracked on tracked.user_id = users.user_id
