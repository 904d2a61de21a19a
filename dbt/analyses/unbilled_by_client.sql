-- Unbilled work by client; each currency by itself.
select
    coalesce(clients.client_name, '(no client)') as client,
    unbilled.currency,
    sum(unbilled.hours) as hours,
    sum(unbilled.amount) as amount,
    sum(unbilled.hours_without_amount) as hours_without_amount,
    min(unbilled.first_date) as first_date
from {{ ref('unbilled') }} as unbilled
left join {{ ref('dim_client') }} as clients on clients.client_id = unbilled.client_id
group by 1, 2
order by 1, 2
