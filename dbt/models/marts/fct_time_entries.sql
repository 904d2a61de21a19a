-- One row per time entry that exists in Toggl.
with project_costs as (

    select project_id, user_id, max(labor_cost) as labor_cost
    from {{ ref('stg_toggl_track__project_users') }}
    where not is_deleted and user_id is not null and labor_cost is not null
    group by project_id, user_id

),

entries as (

    select
        time_entry_id,
        workspace_id,
        user_id,
        project_id,
        task_id,
        tag_ids,
        description,
        coalesce(is_billable, false) as is_billable,
        seconds is null as is_running,
        started_at,
        stopped_at,
        {{ toggl_track.local_date('started_at') }} as local_date,
        seconds,
        {{ toggl_track.hours('seconds') }} as hours,
        hourly_rate_cents / 100e0 as reported_rate,
        billable_amount_cents / 100e0 as reported_amount,
        currency,
        updated_at
    from {{ ref('stg_toggl_track__time_entries') }}
    where not is_deleted

),

rates as (

    {% if var('toggl_using_rates') -%}
    select time_entry_id, rate, amount, currency, labor_cost, cost_currency
    from {{ ref('stg_toggl_track__time_entry_amounts') }}
    {%- else -%}
    select
        time_entry_id,
        cast(null as {{ dbt.type_float() }}) as rate,
        cast(null as {{ dbt.type_float() }}) as amount,
        cast(null as {{ dbt.type_string() }}) as currency,
        cast(null as {{ dbt.type_float() }}) as labor_cost,
        cast(null as {{ dbt.type_string() }}) as cost_currency
    from entries
    {%- endif %}

),

costs as (

    select
        entries.time_entry_id,
        coalesce(rates.labor_cost, project_costs.labor_cost, members.labor_cost) as hourly_cost,
        case
            when rates.labor_cost is not null then 'rates'
            when project_costs.labor_cost is not null or members.labor_cost is not null then 'present'
        end as cost_source
    from entries
    left join rates on rates.time_entry_id = entries.time_entry_id
    left join project_costs
        on project_costs.project_id = entries.project_id and project_costs.user_id = entries.user_id
    left join {{ ref('int_toggl_track__members') }} as members
        on members.workspace_id = entries.workspace_id and members.user_id = entries.user_id

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
    entries.is_billable,
    entries.is_running,
    entries.started_at,
    entries.stopped_at,
    entries.local_date,
    entries.seconds,
    entries.hours,
    -- An entry that an event changed has no reported amount until the next load.
    coalesce(entries.reported_rate, rates.rate) as hourly_rate,
    {% if var('toggl_rounding_minutes') -%}
    coalesce(entries.reported_rate, rates.rate) * {{ toggl_track.hours(toggl_track.rounded('entries.seconds')) }} as amount,
    {%- else -%}
    coalesce(entries.reported_amount, rates.amount) as amount,
    {%- endif %}
    case
        when entries.reported_amount is not null then 'report'
        when rates.amount is not null then 'rates'
    end as amount_source,
    coalesce(entries.currency, rates.currency, projects.currency) as currency,
    costs.hourly_cost,
    entries.hours * costs.hourly_cost as cost,
    costs.cost_source,
    coalesce(
        rates.cost_currency,
        {% if var('toggl_using_workspaces') -%} workspaces.default_currency
        {%- else -%} {{ toggl_track.text_or_null(var('toggl_cost_currency')) }} {%- endif %}
    ) as cost_currency,
    entries.updated_at
from entries
left join rates on rates.time_entry_id = entries.time_entry_id
left join costs on costs.time_entry_id = entries.time_entry_id
left join {{ ref('dim_project') }} as projects on projects.project_id = entries.project_id
{% if var('toggl_using_workspaces') -%}
left join {{ ref('stg_toggl_track__workspaces') }} as workspaces on workspaces.workspace_id = entries.workspace_id
{% endif -%}
