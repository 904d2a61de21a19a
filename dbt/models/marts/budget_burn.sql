-- One row per project and budget: its time estimate in hours, and its fixed fee in its currency.
with used as (

    -- An entry counts on the day it started, as in Toggl's reports.
    select project_id, currency, local_date, sum(seconds) as seconds, sum(amount) as amount
    from {{ ref('fct_time_entries') }}
    where not is_running and project_id is not null
    group by project_id, currency, local_date

),

budgets as (

    select
        project_id,
        workspace_id,
        client_id,
        'hours' as budget_kind,
        cast(null as {{ dbt.type_string() }}) as currency,
        estimated_hours as budget,
        is_recurring,
        case when is_recurring then period_start end as counted_from,
        case when is_recurring then period_end end as counted_to,
        case when is_recurring then period_end else end_date end as ends_on
    from {{ ref('dim_project') }}
    where estimated_hours > 0 and not is_deleted

    union all

    select project_id, workspace_id, client_id, 'fixed_fee', currency, fixed_fee, false, null, null, end_date
    from {{ ref('dim_project') }}
    where fixed_fee > 0 and not is_deleted

),

amounts as (

    select
        budgets.*,
        used.local_date,
        case when budgets.budget_kind = 'hours' then {{ toggl_track.hours('used.seconds') }} else used.amount end as amount
    from budgets
    left join used
        on used.project_id = budgets.project_id
        and (budgets.budget_kind = 'hours' or used.currency = budgets.currency)
        and (budgets.counted_from is null or used.local_date >= budgets.counted_from)
        and (budgets.counted_to is null or used.local_date <= budgets.counted_to)
        and used.local_date <= {{ toggl_track.today() }}

),

totals as (

    select
        project_id,
        workspace_id,
        client_id,
        budget_kind,
        currency,
        budget,
        is_recurring,
        counted_from as period_start,
        counted_to as period_end,
        ends_on,
        min(local_date) as first_date,
        max(local_date) as last_date,
        coalesce(sum(amount), 0) as used,
        coalesce(sum(
            case when local_date > {{ toggl_track.add_days(toggl_track.today(), 0 - var('toggl_forecast_days')) }} then amount end
        ), 0) as used_recently
    from amounts
    group by
        project_id, workspace_id, client_id, budget_kind, currency, budget, is_recurring, counted_from, counted_to, ends_on

),

rates as (

    select
        *,
        -- A budget that was begun within the days of the forecast is averaged over the days since.
        used_recently / greatest(1, least(
            {{ var('toggl_forecast_days') }}, {{ toggl_track.today() }} - first_date + 1
        )) as used_per_day
    from totals

),

forecasts as (

    select
        *,
        case
            when ends_on is null then null
            when ends_on <= {{ toggl_track.today() }} then used
            else used + used_per_day * (ends_on - {{ toggl_track.today() }})
        end as forecast_at_end
    from rates

)

select
    project_id,
    workspace_id,
    client_id,
    budget_kind,
    currency,
    is_recurring,
    period_start,
    period_end,
    ends_on,
    budget,
    used,
    budget - used as remaining,
    {{ toggl_track.quotient('used', 'budget') }} as used_share,
    first_date,
    last_date,
    used_per_day,
    forecast_at_end,
    -- Nothing is forecast for over a hundred years.
    case
        when used < budget and used_per_day > 0 and (budget - used) / used_per_day <= 36525
            then {{ toggl_track.add_days(toggl_track.today(), 'cast(ceil((budget - used) / used_per_day) as integer)') }}
    end as forecast_used_up_on,
    case
        when used > budget then 'over'
        when used >= budget * {{ var('toggl_budget_warning') }} or forecast_at_end > budget then 'at_risk'
        else 'on_track'
    end as status
from forecasts
