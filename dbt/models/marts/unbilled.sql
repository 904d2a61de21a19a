-- Billable work that is not marked as billed. One row per project and currency.
{%- set tag = var('toggl_billed_tag') %}
{%- set until = var('toggl_billed_until') %}
with billed_tags as (

    select tag_id
    from {{ ref('stg_toggl_track__tags') }}
    where name = {{ toggl_track.text_or_null(tag) }}

),

entries as (

    select *
    from {{ ref('fct_time_entries') }}
    where is_billable
        and not is_running
        {% if tag is not none -%}
        and not exists (select 1 from billed_tags where billed_tags.tag_id = any(fct_time_entries.tag_ids))
        {%- endif %}
        {% if until is not none -%}
        and local_date > cast('{{ until }}' as date)
        {%- endif %}

)

select
    workspace_id,
    project_id,
    client_id,
    currency,
    count(*) as time_entries,
    {{ toggl_track.hours('sum(seconds)') }} as hours,
    sum(amount) as amount,
    {{ toggl_track.hours('sum(case when amount is null then seconds else 0 end)') }} as hours_without_amount,
    min(local_date) as first_date,
    max(local_date) as last_date
from entries
group by workspace_id, project_id, client_id, currency
