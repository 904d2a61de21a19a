{{ config(enabled=var('toggl_using_rates', false)) }}

select
    time_entry_id,
    rate,
    rate_level,
    amount,
    currency,
    labor_cost,
    labor_cost_level,
    cost,
    cost_currency
from {{ source('toggl', 'time_entry_amounts') }}
