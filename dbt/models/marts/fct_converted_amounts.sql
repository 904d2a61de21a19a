-- One row per time entry that exists in Toggl: its amount and cost in the reporting currency.
{{ config(enabled=var('toggl_reporting_currency') is not none) }}
{%- set reporting_currency = toggl_track.text_or_null(var('toggl_reporting_currency')) %}
with rated as (

    select
        entries.*,
        {{ reporting_currency }} as reporting_currency,
        case when entries.currency = {{ reporting_currency }} then 1 else rates.rate end as exchange_rate,
        rates.rate_date as exchange_rate_date,
        case when entries.cost_currency = {{ reporting_currency }} then 1 else cost_rates.rate end as cost_exchange_rate,
        cost_rates.rate_date as cost_exchange_rate_date
    from {{ ref('fct_time_entries') }} as entries
    left join {{ ref('int_toggl_track__exchange_rates') }} as rates
        on rates.currency = entries.currency
        and entries.local_date between rates.rate_date and rates.last_date
    left join {{ ref('int_toggl_track__exchange_rates') }} as cost_rates
        on cost_rates.currency = entries.cost_currency
        and entries.local_date between cost_rates.rate_date and cost_rates.last_date

)

select
    time_entry_id,
    workspace_id,
    user_id,
    project_id,
    client_id,
    local_date,
    reporting_currency,
    amount,
    currency,
    exchange_rate,
    exchange_rate_date,
    amount * exchange_rate as converted_amount,
    cost,
    cost_currency,
    cost_exchange_rate,
    cost_exchange_rate_date,
    cost * cost_exchange_rate as converted_cost
from rated
