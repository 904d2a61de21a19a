-- What is known of a person in a workspace: labor cost and working hours.
{%- set period = toggl_track.choice('toggl_working_hours_period', ['day', 'week']) %}
{%- set fallback = var('toggl_weekly_hours') %}

with tracked as (

    select distinct workspace_id, user_id from {{ ref('stg_toggl_track__time_entries') }}

),

known as (

    {% if var('toggl_using_workspace_users') -%}
    select
        workspace_id,
        user_id,
        max(labor_cost) as labor_cost,
        max(working_hours_in_minutes) / 60e0
            {%- if period == 'day' %} * {{ var('toggl_working_days') }}{% endif %} as weekly_hours
    from {{ ref('stg_toggl_track__workspace_users') }}
    where not is_deleted
    group by workspace_id, user_id
    {%- else -%}
    select
        workspace_id,
        user_id,
        cast(null as {{ dbt.type_float() }}) as labor_cost,
        cast(null as {{ dbt.type_float() }}) as weekly_hours
    from tracked
    {%- endif %}

)

select
    coalesce(known.workspace_id, tracked.workspace_id) as workspace_id,
    coalesce(known.user_id, tracked.user_id) as user_id,
    known.labor_cost,
    {% if fallback is none -%} nullif(known.weekly_hours, 0)
    {%- else -%} coalesce(nullif(known.weekly_hours, 0), {{ fallback }}e0) {%- endif %} as weekly_hours,
    case
        when known.weekly_hours > 0 then 'toggl'
        {% if fallback is not none %}else 'variable'{% endif %}
    end as weekly_hours_source
from known
full outer join tracked
    on tracked.workspace_id = known.workspace_id and tracked.user_id = known.user_id
