select time_entry_id, kind, field, old_value, new_value, changed_at, changed_by_name
from toggl.time_entry_history
where changed_at >= '2026-04-01 00:00:00+00:00'
    and "start" >= '2026-03-01 00:00:00+00:00'
    and "start" < '2026-04-01 00:00:00+00:00'
    and kind in ('updated', 'deleted', 'absent', 'restored')
order by time_entry_id, step
