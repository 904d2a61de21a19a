select log.entity_id as time_entry_id, entry.description, log.created_at as deleted_at, person.fullname as deleted_by
from toggl.audit_log as log
left join toggl.time_entries as entry on entry.id = log.entity_id
left join toggl.users as person on person.id = log.user_id
where log.entity_type = 'time_entry' and log.action = 'deleted'
order by log.created_at
