-- Timesheets that wait for an approval, and approved ones with changes since.
{{ config(enabled=var('toggl_using_timesheets', false)) }}
select users.fullname, sheets.start_date, sheets.end_date, sheets.status, sheets.hours, sheets.edited_after_approval, sheets.deleted_after_approval
from {{ ref('approvals') }} as sheets
join {{ ref('dim_user') }} as users on users.user_id = sheets.user_id
where sheets.status = 'submitted' or sheets.edited_after_approval + sheets.deleted_after_approval > 0
order by sheets.start_date, users.fullname
