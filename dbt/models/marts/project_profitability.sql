-- One row per project and currency; work without a project has a row of its own.
{%- set revenue = toggl_track.choice('toggl_revenue', ['time', 'fixed_fee']) %}
{%- set divisor = toggl_track.choice('toggl_effective_rate', ['all', 'billable']) %}
with totals as (

    select
        workspace_id,
        project_id,
        client_id,
        currency,
        min(local_date) as first_date,
        max(local_date) as last_date,
        sum(seconds) as seconds,
        sum(case when is_billable then seconds else 0 end) as billable_seconds,
        sum(case when is_billable then amount else 0 end) as time_amount,
        sum(case when is_billable and amount is null then seconds else 0 end) as seconds_without_amount,
        sum(cost) as known_cost,
        min(case when cost is not null then coalesce(cost_currency, '') end) as first_cost_currency,
        max(case when cost is not null then coalesce(cost_currency, '') end) as last_cost_currency,
        sum(case when cost is null then seconds else 0 end) as seconds_without_cost
    from {{ ref('fct_time_entries') }}
    where not is_running
    group by workspace_id, project_id, client_id, currency

),

costs as (

    -- Costs in several currencies, or some in a currency that is not known, are not added up.
    select
        *,
        case when first_cost_currency = last_cost_currency then known_cost end as cost,
        case when first_cost_currency = last_cost_currency then nullif(first_cost_currency, '') end as cost_currency
    from totals

),

revenues as (

    select
        totals.*,
        {% if revenue == 'fixed_fee' -%}
        case
            when projects.fixed_fee > 0 and projects.currency = totals.currency
                then projects.fixed_fee
            when projects.fixed_fee > 0 then 0
            else totals.time_amount
        end as revenue,
        coalesce(projects.fixed_fee, 0) <= 0 and totals.seconds_without_amount > 0 as lacks_amounts
        {%- else -%}
        totals.time_amount as revenue,
        totals.seconds_without_amount > 0 as lacks_amounts
        {%- endif %}
    from costs as totals
    left join {{ ref('dim_project') }} as projects on projects.project_id = totals.project_id

),

margins as (

    select
        *,
        case
            when currency = cost_currency and not lacks_amounts and seconds_without_cost = 0
                then revenue - cost
        end as margin
    from revenues

)

select
    workspace_id,
    project_id,
    client_id,
    currency,
    first_date,
    last_date,
    {{ toggl_track.hours('seconds') }} as hours,
    {{ toggl_track.hours('billable_seconds') }} as billable_hours,
    revenue,
    {{ toggl_track.hours('seconds_without_amount') }} as billable_hours_without_amount,
    cost,
    cost_currency,
    {{ toggl_track.hours('seconds_without_cost') }} as hours_without_cost,
    margin,
    {{ toggl_track.quotient('margin', 'revenue') }} as margin_share,
    {{ toggl_track.quotient('revenue', toggl_track.hours('billable_seconds' if divisor == 'billable' else 'seconds')) }} as effective_rate
from margins
