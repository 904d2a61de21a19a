-- Revenue, cost and margin by client; each currency by itself.
select
    coalesce(clients.client_name, '(no client)') as client,
    projects.currency,
    sum(projects.hours) as hours,
    sum(projects.revenue) as revenue,
    sum(projects.cost) as cost,
    projects.cost_currency,
    case when count(projects.margin) = count(*) then sum(projects.margin) end as margin
from {{ ref('project_profitability') }} as projects
left join {{ ref('dim_client') }} as clients on clients.client_id = projects.client_id
group by 1, 2, projects.cost_currency
order by 1, 2
