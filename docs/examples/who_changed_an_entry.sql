select step, kind, field, old_value, new_value, changed_at, changed_by_name
from toggl.time_entry_history
where time_entry_id = 3050537739
order by step
