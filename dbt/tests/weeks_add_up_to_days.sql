-- No hour is lost or counted twice between days and weeks.
with weeks as (

    select sum(hours) as hours from {{ ref('utilization') }}

),

days as (

    select sum(hours) as hours from {{ ref('fct_time_entry_days') }}

)

select weeks.hours as week_hours, days.hours as day_hours
from weeks cross join days
where abs(coalesce(weeks.hours, 0) - coalesce(days.hours, 0)) > 0.001
