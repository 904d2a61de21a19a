"""The views that price time entries by the rates that held when they started.

The narrowest level decides. Of several rates of one object that hold at once, the one that starts last does: in Toggl,
a rate stays in effect until a more recent one is set (https://support.toggl.com/en/articles/6338050). Among equal
starts, it is the one that was set last. An entry over midnight keeps the rate of its first day (ibid.).
"""

# ruff: noqa: S608 - the only names put into these statements are constants of this package
from __future__ import annotations

from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.load.engines.dialect import Dialect, quote
from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.core.rates import FIELDS, PRECEDENCE, Kind, Level

_KEPT = ("type", "level", "amount", "currency", "start", "created_at")


def create_amounts(dialect: Dialect) -> list[str]:
    """Return the statements that create ``time_entry_amounts`` and ``time_entry_amount_differences``."""
    words = {
        "create_view": dialect.create_view,
        "candidates": "\n    union all\n".join(
            _candidates(kind, level, place, dialect)
            for kind, levels in PRECEDENCE.items()
            for place, level in enumerate(levels)
        ),
        "hours": dialect.facts.hours,
    }
    return [statement.format(**words) for statement in load_statements(__package__, "amounts.sql").values()]


def _candidates(kind: Kind, level: Level, place: int, dialect: Dialect) -> str:
    """Return the query of the rates of a level that hold at the start of the entries that they concern.

    A query for each level, so that an engine can join by equal ids.
    """
    kept = ", ".join(f"rate.{quote(name)} as {quote(name)}" for name in _KEPT)
    common = " and ".join(f"rate.{quote(name)} = entry.{quote(name)}" for name in ("workspace_id", *FIELDS[level]))
    # Only what is billable has a price; everything has a cost.
    is_billable = 'entry."billable"' if dialect.has_booleans else 'entry."billable" = 1'
    billable = f"{is_billable} and " if kind == "billable_rates" else ""
    return f"""    select entry."id" as "time_entry_id", rate."id" as "rate_id", {place} as "place", {kept},
        rate."updated_at" as "changed_at"
    from "live_time_entries" as entry join "rates" as rate on {common}
    where {billable}rate."type" = '{kind}' and rate."level" = '{level}' and {is_live("rate")}
        and (rate."start" is null or rate."start" <= entry."start")
        and (rate."end" is null or entry."start" < rate."end")"""
