-- What live entries are worth and cost by the rates that held at their start. In braces is what amounts.py fills in.

-- name: create_time_entry_amounts: rate, amount, cost and where they come from, next to what the report said
{create_view} "time_entry_amounts" as
with candidates as (
{candidates}
), chosen as (
    select *, row_number() over (
        partition by "time_entry_id", "type"
        order by "place", case when "start" is null then 1 else 0 end, "start" desc,
            case when "created_at" is null then 1 else 0 end, "created_at" desc, "rate_id" desc
    ) as "position"
    from candidates
)
select
    entry."id" as "time_entry_id",
    entry."workspace_id",
    entry."user_id",
    entry."project_id",
    entry."task_id",
    entry."billable",
    entry."start",
    {hours} as "hours",
    price."amount" as "rate",
    price."level" as "rate_level",
    price."rate_id",
    {hours} * price."amount" as "amount",
    floor(entry."duration" * round(price."amount" * 100) / 3600e0 + 0.5e0) as "amount_cents",
    price."currency",
    cost."amount" as "labor_cost",
    cost."level" as "labor_cost_level",
    cost."rate_id" as "labor_cost_id",
    {hours} * cost."amount" as "cost",
    cost."currency" as "cost_currency",
    entry."hourly_rate_cents" as "reported_rate_cents",
    entry."billable_amount_cents" as "reported_amount_cents",
    entry."currency" as "reported_currency",
    entry."observed_at" as "reported_at",
    price."changed_at" as "rate_changed_at"
from "live_time_entries" as entry
    left join chosen as price
        on price."time_entry_id" = entry."id" and price."type" = 'billable_rates' and price."position" = 1
    left join chosen as cost
        on cost."time_entry_id" = entry."id" and cost."type" = 'labor_costs' and cost."position" = 1;

-- name: create_time_entry_amount_differences: entries whose amount or currency is not what the report said
{create_view} "time_entry_amount_differences" as
select *
from "time_entry_amounts"
where coalesce("amount_cents", 0) <> coalesce("reported_amount_cents", 0)
    or (coalesce("amount_cents", 0) <> 0 and "currency" <> "reported_currency");
