-- The days of a time entry add up to its duration.
select entries.time_entry_id
from {{ ref('fct_time_entries') }} as entries
left join {{ ref('fct_time_entry_days') }} as days on days.time_entry_id = entries.time_entry_id
where not entries.is_running
group by entries.time_entry_id, entries.seconds
having entries.seconds is distinct from sum(days.seconds)
