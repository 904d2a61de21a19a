-- Each amount and cost has an exchange rate to the reporting currency. The rows name the currencies and days without one.
{{ config(enabled=var('toggl_reporting_currency') is not none, severity='warn') }}
select currency, local_date, time_entries
from {{ ref('missing_exchange_rates') }}
