-- Projects that exceed their budget, or will.
select projects.project_name, burn.budget_kind, burn.budget, burn.used, burn.forecast_used_up_on, burn.status
from {{ ref('budget_burn') }} as burn
join {{ ref('dim_project') }} as projects on projects.project_id = burn.project_id
where burn.status <> 'on_track' and projects.is_active
order by burn.used_share desc
