select
    project_id,
    sum(converted_amount) as revenue,
    sum(converted_cost) as cost,
    count(amount) - count(converted_amount) as amounts_without_rate,
    count(cost) - count(converted_cost) as costs_without_rate
from analytics_toggl_track.fct_converted_amounts
group by project_id
order by project_id;
