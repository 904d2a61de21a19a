-- One row per task: those of the workspace, and those that only a time entry names.
with tracked as (

    select distinct task_id
    from {{ ref('stg_toggl_track__time_entries') }}
    where not is_deleted and task_id is not null

)

select
    coalesce(tasks.task_id, tracked.task_id) as task_id,
    tasks.workspace_id,
    tasks.name as task_name,
    tasks.project_id,
    tasks.user_id,
    tasks.is_active,
    {{ toggl_track.hours('tasks.estimated_seconds') }} as estimated_hours,
    coalesce(tasks.is_deleted, true) as is_deleted
from {{ ref('stg_toggl_track__tasks') }} as tasks
full outer join tracked on tracked.task_id = tasks.task_id
