-- No second is lost or counted twice between entries and projects.
with projects as (

    select sum(hours) as hours from {{ ref('project_profitability') }}

),

entries as (

    select sum(hours) as hours from {{ ref('fct_time_entries') }}

)

select projects.hours as project_hours, entries.hours as entry_hours
from projects cross join entries
where abs(coalesce(projects.hours, 0) - coalesce(entries.hours, 0)) > 0.001
