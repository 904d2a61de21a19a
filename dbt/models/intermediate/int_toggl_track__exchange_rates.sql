-- The exchange rates to the reporting currency, each with the days on which it is used.
{{ config(enabled=var('toggl_reporting_currency') is not none) }}
{%- set table = var('toggl_exchange_rates') %}
{%- set currency = toggl_track.text_or_null(var('toggl_reporting_currency')) %}
with rates as (

    select cast(date as date) as rate_date, from_currency as currency, rate
    from {{ table if '.' in table else ref(project_name, table) }}
    where to_currency = {{ currency }} and from_currency <> {{ currency }} and rate > 0

)

select
    currency,
    rate_date,
    least(
        {{ toggl_track.add_days('rate_date', var('toggl_exchange_rate_days')) }},
        {{ toggl_track.add_days("lead(rate_date, 1, cast('9999-12-31' as date)) over (partition by currency order by rate_date)", -1) }}
    ) as last_date,
    rate
from rates
