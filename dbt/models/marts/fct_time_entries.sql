-- One row per time entry that exists in Toggl.
with project_costs as (

    select project_id, user_id, max(labor_cost) as labor_cost
    from {{ ref('stg_toggl_track__project_users') }}
    where not is_deleted and user_id is not null and labor_cost is not null
    group by project_id, user_id

)

select
    entries.time_entry_id,
    entries.workspace_id,
    entries.user_id,
    entries.project_id,
    projects.client_id,
    entries.task_id,
    entries.tag_ids,
    entries.description,
    coalesce(entries.is_billable, false) as is_billable,
    entries.seconds is null as is_running,
    entries.started_at,
    entries.stopped_at,
    {{ toggl_track.local_date('entries.started_at') }} as local_date,
    entries.seconds,
    {{ toggl_track.hours('entries.seconds') }} as hours,
    cast(entries.hourly_rate_cents / 100.0 as {{ dbt.type_numeric() }}) as hourly_rate,
    cast(entries.billable_amount_cents / 100.0 as {{ dbt.type_numeric() }}) as amount,
    coalesce(entries.currency, projects.currency) as currency,
    coalesce(project_costs.labor_cost, members.labor_cost) as hourly_cost,
    {{ toggl_track.hours('entries.seconds') }} * coalesce(project_costs.labor_cost, members.labor_cost) as cost,
    {% if var('toggl_using_workspaces') -%} workspaces.default_currency
    {%- else -%} {{ toggl_track.text_or_null(var('toggl_cost_currency')) }} {%- endif %} as cost_currency,
    entries.updated_at
from {{ ref('stg_toggl_track__time_entries') }} as entries
left join {{ ref('dim_project') }} as projects on projects.project_id = entries.project_id
left join project_costs
    on project_costs.project_id = entries.project_id and project_costs.user_id = entries.user_id
left join {{ ref('int_toggl_track__members') }} as members
    on members.workspace_id = entries.workspace_id and members.user_id = entries.user_id
{% if var('toggl_using_workspaces') -%}
left join {{ ref('stg_toggl_track__workspaces') }} as workspaces on workspaces.workspace_id = entries.workspace_id
{% endif -%}
where not entries.is_deleted
