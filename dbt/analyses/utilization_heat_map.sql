-- Utilization by person and week, in percent.
select users.fullname, utilization.week, round(100 * utilization.utilization) as percent
from {{ ref('utilization') }} as utilization
join {{ ref('dim_user') }} as users on users.user_id = utilization.user_id
order by 1, 2
