-- One row per currency and day with an amount or a cost that cannot be converted.
{{ config(enabled=var('toggl_reporting_currency') is not none) }}
with missing as (

    select currency, local_date, time_entry_id
    from {{ ref('fct_converted_amounts') }}
    where amount is not null and exchange_rate is null

    union all

    select cost_currency as currency, local_date, time_entry_id
    from {{ ref('fct_converted_amounts') }}
    where cost is not null and cost_exchange_rate is null

)

select currency, local_date, count(distinct time_entry_id) as time_entries
from missing
group by currency, local_date
