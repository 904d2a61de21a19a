{#
    The last columns of every staging model, from the five times of a row. A row is live when it was seen later than
    Toggl deleted it and later than a complete list was without it.
#}
{% macro row_times() %}
    {%- set is_live -%}
        seen_at is not null
        and (deleted_at is null or seen_at > deleted_at)
        and (absent_at is null or seen_at > absent_at)
    {%- endset -%}
    updated_at,
    not ({{ is_live }}) as is_deleted,
    case when not ({{ is_live }}) then greatest(deleted_at, absent_at) end as deleted_at
{%- endmacro %}

{# Seconds as hours. #}
{% macro hours(seconds) %}{{ seconds }} / 3600e0{% endmacro %}

{#
    Seconds rounded to `toggl_rounding_minutes`, as Toggl's reports do with the setting of the workspace; half a step is
    rounded up. With 0 minutes, nothing is rounded.
#}
{% macro rounded(seconds) %}
    {%- set step = var("toggl_rounding_minutes") * 60 -%}
    {%- set added = {"up": step - 1, "nearest": step // 2, "down": 0} -%}
    {%- set how = toggl_track.choice("toggl_rounding", ["up", "nearest", "down"]) -%}
    {%- if step == 0 -%} {{ seconds }}
    {%- else -%} floor(({{ seconds }} + {{ added[how] }}) / {{ step }}e0) * {{ step }}
    {%- endif -%}
{% endmacro %}

{# A quotient, null if there is nothing to divide by. #}
{% macro quotient(part, whole) %}{{ part }} / nullif({{ whole }}, 0){% endmacro %}

{# The value of a variable that is one of some words. #}
{% macro choice(name, words) %}
    {%- if var(name) not in words -%}
        {{ exceptions.raise_compiler_error("The variable " ~ name ~ " is " ~ var(name) ~ ". It must be one of: " ~ words | join(", ") ~ ".") }}
    {%- endif -%}
    {{ return(var(name)) }}
{% endmacro %}

{# A text as SQL, null if there is none. #}
{% macro text_or_null(value) %}
    {%- if value is none -%} cast(null as {{ dbt.type_string() }})
    {%- else -%} '{{ value | replace("'", "''") }}'
    {%- endif -%}
{% endmacro %}
