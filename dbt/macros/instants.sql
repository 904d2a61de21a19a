{#
    Times and dates. The default implementations are for DuckDB and PostgreSQL, which share these functions. For another
    engine, define `<adapter>__local_time` and so on in a project of yours and name it in `dispatch`.
#}

{# The wall clock of `toggl_timezone` at an instant, without a zone. #}
{% macro local_time(instant) %}{{ return(adapter.dispatch('local_time', 'toggl_track')(instant)) }}{% endmacro %}
{% macro default__local_time(instant) %}timezone('{{ var("toggl_timezone") }}', {{ instant }}){% endmacro %}

{# The date in `toggl_timezone` at an instant. #}
{% macro local_date(instant) %}cast({{ toggl_track.local_time(instant) }} as date){% endmacro %}

{#
    The instant at which a date begins in `toggl_timezone`.

    Where clocks go back to midnight, midnight comes twice and engines choose the second one. So the time is read again
    with the offset from UTC that held a second before what the engine found: that gives the first one. Where midnight
    is skipped, it gives the instant of the change.
#}
{% macro local_midnight(day) %}{{ return(adapter.dispatch('local_midnight', 'toggl_track')(day)) }}{% endmacro %}
{% macro default__local_midnight(day) %}
    {%- set midnight = "cast(" ~ day ~ " as timestamp)" -%}
    {%- set before = "timezone('" ~ var("toggl_timezone") ~ "', " ~ midnight ~ ") - interval '1 second'" -%}
    timezone('UTC', {{ midnight }} - ({{ toggl_track.local_time(before) }} - timezone('UTC', {{ before }})))
{%- endmacro %}

{# An instant that is some seconds after another one. #}
{% macro add_seconds(instant, seconds) %}{{ return(adapter.dispatch('add_seconds', 'toggl_track')(instant, seconds)) }}{% endmacro %}
{% macro default__add_seconds(instant, seconds) %}{{ instant }} + {{ seconds }} * interval '1 second'{% endmacro %}

{# Whole seconds from one instant to another. Of the difference of two instants, DuckDB makes calendar days. #}
{% macro seconds_between(earlier, later) %}{{ return(adapter.dispatch('seconds_between', 'toggl_track')(earlier, later)) }}{% endmacro %}
{% macro default__seconds_between(earlier, later) %}cast(extract(epoch from {{ later }}) - extract(epoch from {{ earlier }}) as bigint){% endmacro %}

{# A date that is some days after another one. #}
{% macro add_days(day, days) %}{{ return(adapter.dispatch('add_days', 'toggl_track')(day, days)) }}{% endmacro %}
{% macro default__add_days(day, days) %}{{ day }} + {{ days }}{% endmacro %}

{# The first day of the week of a date; weeks begin on `toggl_week_start`, 1 (Monday) to 7 (Sunday). #}
{% macro week_of(day) %}{{ return(adapter.dispatch('week_of', 'toggl_track')(day)) }}{% endmacro %}
{% macro default__week_of(day) %}
    {%- set later = var("toggl_week_start") - 1 -%}
    cast(date_trunc('week', {{ day }} - {{ later }}) as date) + {{ later }}
{%- endmacro %}

{# The present date in `toggl_timezone`, or `toggl_today`. #}
{% macro today() %}
    {%- if var("toggl_today") is not none -%} cast('{{ var("toggl_today") }}' as date)
    {%- else -%} {{ toggl_track.local_date("current_timestamp") }}
    {%- endif -%}
{% endmacro %}
