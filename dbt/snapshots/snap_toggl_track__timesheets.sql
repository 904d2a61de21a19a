{% snapshot snap_toggl_track__timesheets %}

{{ config(
    enabled=var('toggl_using_timesheets', false),
    unique_key='timesheet_id',
    strategy='check',
    check_cols=['status', 'approved_or_rejected_at'],
) }}

select timesheet_id, status, approved_or_rejected_at
from {{ ref('stg_toggl_track__timesheets') }}
where not is_deleted

{% endsnapshot %}
