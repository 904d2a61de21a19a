{{ config(enabled=var('toggl_using_goals', false)) }}

select
    id as goal_id,
    workspace_id,
    user_id,
    creator_user_id,
    name,
    active,
    team_goal,
    status,
    comparison,
    target_seconds,
    billable,
    project_ids,
    task_ids,
    tag_ids,
    recurrence,
    start_date,
    end_date,
    current_recurrence_start_date,
    current_recurrence_end_date,
    current_recurrence_tracked_seconds,
    last_completed_recurrence_end_date,
    last_notified_at,
    streak,
    icon,
    {{ toggl_track.row_times() }}
from {{ source('toggl', 'goals') }}
