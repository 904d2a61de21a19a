from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from support.entry_histories import absent, event, event_with, pulled
from support.toggl_rows import at, decode, report_row, tags, v9_entry
from support.webhook_events import entry_payload

from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.merging.versions import STORED_COLUMNS, build_stored, build_versions
from airflow_provider_toggl.core.load.tables.schemas import HISTORY_FIELDS, VERSIONS

WHEN = at(0).isoformat()


def versions(*batches: RecordBatch) -> list[dict[str, Any]]:
    table = build_versions(batches)
    assert table.column_names == [column.name for column in VERSIONS.columns]
    return sorted(
        table.to_pylist(), key=lambda row: (row["updated_at"], row["kind"] != "state", row["last_observed_at"])
    )


def version(*batches: RecordBatch) -> dict[str, Any]:
    (found,) = versions(*batches)
    return found


#: One state, as each source writes it in each way that is known.
ALIKE: dict[str, RecordBatch] = {
    "a report": pulled(description="", tag_ids=[2, 1]),
    "a report without description": pulled(description=None, tag_ids=[1, 2]),
    "a report in utc": pulled(
        description=None, tag_ids=[1, 2], start="2025-05-01T08:00:00Z", stop="2025-05-01T08:45:00Z"
    ),
    "v9": decode("time_entries", v9_entry(description=None, tag_ids=[1, 2], at="2025-06-01T12:00:00.987654Z")),
    "v9 in whole seconds": decode("time_entries", v9_entry(description="", tag_ids=[2, 1], at=WHEN)),
    "an event": event("updated", description=None, tag_ids=[2, 1]),
    "an event with legacy keys alone": event_with(
        "created",
        {
            **{
                name: value
                for name, value in entry_payload().items()
                if name not in ("user_id", "project_id", "task_id")
            },
            "uid": 10,
            "pid": 20,
            "at": WHEN,
            "tag_ids": [1, 2],
            "description": "",
        },
        seconds=0.5,
    ),
    "the event of its deletion": event("deleted", seconds=9, description="", tag_ids=[2, 1]),
}
RUNNING = {"stop": None, "description": "", "tag_ids": []}
#: The same of an entry that runs.
ALIKE_RUNNING: dict[str, RecordBatch] = {
    "a report with a negative duration": decode(
        "time_entries", report_row(at=WHEN, **{**RUNNING, "seconds": -1746086400})
    ),
    "a report with the time until now": decode("time_entries", report_row(at=WHEN, **{**RUNNING, "seconds": 77})),
    "a report of its first second": decode("time_entries", report_row(at=WHEN, **{**RUNNING, "seconds": 0})),
    "v9": decode("time_entries", v9_entry(at=WHEN, **{**RUNNING, "duration": -1746086400, "tag_ids": None})),
    "an event": event("created", **{**RUNNING, "duration": -1, "tag_ids": None}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_state_is_one_version_however_it_is_written(name: str) -> None:
    assert versions(ALIKE[name])[0]["id"] == version(ALIKE["a report"])["id"]


@pytest.mark.parametrize("name", ALIKE_RUNNING)
def test_so_it_is_while_it_runs(name: str) -> None:
    assert version(ALIKE_RUNNING[name])["id"] == version(ALIKE_RUNNING["v9"])["id"]
    assert version(ALIKE_RUNNING[name])["duration"] is None


def test_all_of_them_are_one_with_what_each_knows() -> None:
    state, deleted = versions(*ALIKE.values())
    assert (state["first_observed_at"], state["last_observed_at"]) == (at(0), at(9))
    assert (state["told_at"], state["told_as"], state["actor_id"]) == (at(0), "created", 10)
    assert (deleted["kind"], deleted["told_at"], deleted["actor_id"]) == ("deleted", at(9), 10)


DIFFERENT: dict[str, dict[str, Any]] = {
    "user_id": {"user_id": 11},
    "project_id": {"project_id": None},
    "task_id": {"task_id": 20},
    "description": {"description": "work"},
    "billable": {"billable": True},
    "tag_ids": {"tag_ids": [1]},
    "start": {"start": "2025-05-01T00:00:01-08:00"},
    "stop": {"stop": None},
    "duration": {"seconds": 2701},
}


def test_every_field_of_history_makes_a_version() -> None:
    assert DIFFERENT.keys() == {column.name for column in HISTORY_FIELDS}
    made = [decode("time_entries", report_row(at=WHEN, **fields)) for fields in ({}, *DIFFERENT.values())]
    assert len({row["id"] for row in versions(*made)}) == len(DIFFERENT) + 1


def test_the_same_content_at_another_time_or_of_another_entry_is_another_version() -> None:
    assert len({row["id"] for row in versions(pulled(), pulled(2), pulled(changed=1), pulled(seconds=5))}) == 3


def test_texts_that_look_like_other_fields_are_distinguished() -> None:
    pairs = [("1|2", [3]), ("1", [2, 3]), ("|", []), ("", []), ("[]|", [])]
    made = [pulled(description=description, tag_ids=tag_ids) for description, tag_ids in pairs]
    assert len(versions(*made)) == len(pairs)


def test_the_first_known_actor_counts() -> None:
    seen = [event("updated", seconds=3, by=12), event("updated", seconds=1, by=None), pulled(seconds=-5)]
    row = version(*seen)
    assert (row["told_at"], row["actor_id"], row["told_as"]) == (at(1), 12, "updated")
    assert (row["first_observed_at"], row["last_observed_at"]) == (at(-5), at(3))


def test_what_only_a_pull_observed_has_no_actor() -> None:
    row = version(pulled())
    assert (row["told_at"], row["actor_id"], row["told_as"]) == (None, None, None)


def test_a_deletion_with_ids_only_is_no_state() -> None:
    row = version(event_with("deleted", {"id": 1}, seconds=3.5, by=11))
    assert (row["kind"], row["updated_at"], row["last_observed_at"], row["actor_id"]) == ("deleted", at(3), at(3.5), 11)
    assert row["start"] is None


def test_deletions_within_a_second_are_one() -> None:
    page = decode("time_entries", v9_entry(at=at(3).isoformat(), server_deleted_at=at(3).isoformat()), seconds=60)
    _, gone = versions(event_with("deleted", {"id": 1}, seconds=3.5, by=11), page)
    assert (gone["first_observed_at"], gone["last_observed_at"], gone["actor_id"]) == (at(3), at(3.5), 11)


def test_what_is_seen_of_a_deleted_entry_is_from_before() -> None:
    page = decode("time_entries", v9_entry(at=at(4).isoformat(), server_deleted_at=at(3).isoformat()), seconds=60)
    state, _ = versions(page)
    assert (state["updated_at"], state["last_observed_at"]) == (at(3), at(3))


def test_an_absence_is_a_version_without_fields() -> None:
    row = version(absent(seconds=7.5))
    assert (row["kind"], row["updated_at"], row["first_observed_at"]) == ("absent", at(7), at(7.5))
    assert (row["told_at"], row["actor_id"]) == (None, None)


def test_nothing_gives_nothing() -> None:
    assert versions() == versions(decode("time_entries")) == []


def test_other_streams_are_not_asked(target: Any) -> None:
    target.keep_history(True)
    target.load([tags(1)])
    assert target.query("select * from time_entry_versions").num_rows == 0


# -- what is stored ---------------------------------------------------------------------------------------------------


def stored(*batches: RecordBatch) -> pa.Table:
    return pa.concat_tables([batch.table for batch in batches]).select(STORED_COLUMNS)


def test_what_is_stored_is_the_version_that_was_observed() -> None:
    seen = pulled(tag_ids=[2, 1], description="")
    assert build_stored(stored(seen)).to_pylist() == versions(seen)


def test_engines_without_lists_and_booleans_give_the_same() -> None:
    seen = pulled(tag_ids=[2, 1])
    plain = stored(seen, pulled(2))
    plain = plain.set_column(plain.column_names.index("tag_ids"), "tag_ids", pa.array(["[2, 1]", "[]"]))
    plain = plain.set_column(plain.column_names.index("billable"), "billable", pa.array([0, 0]))
    assert build_stored(plain).to_pylist() == build_versions([seen, pulled(2)]).to_pylist()


def test_a_stored_entry_that_was_deleted_and_came_back_is_as_it_is_now() -> None:
    rows = stored(pulled(changed=9))
    back = rows.set_column(
        rows.column_names.index("deleted_at"), "deleted_at", pa.array([at(5)], rows["deleted_at"].type)
    )
    found = {row["kind"]: row["last_observed_at"] for row in build_stored(back).to_pylist()}
    assert found == {"state": at(9), "deleted": at(5)}
