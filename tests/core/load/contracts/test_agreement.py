"""The rule of merging on each engine, and that all of them keep the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.entry_histories import EntryObservation, entry_observations, merge_by_rule
from support.servers.mariadb import find_mariadb
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.records import RecordBatch
from airflow_provider_toggl.core.load.warehouse import Warehouse

pytestmark = pytest.mark.xdist_group("mariadb")

NAMES = ARROW_SCHEMAS["time_entries"].names


@pytest.fixture(scope="module")
def targets(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Warehouse]]:
    folder: Path = tmp_path_factory.mktemp("agreement")
    places = [
        WarehouseLocation("duckdb", str(folder / "w.duckdb")),
        WarehouseLocation("sqlite", str(folder / "w.sqlite")),
        WarehouseLocation("file", str(folder / "w.file")),
        WarehouseLocation("postgres", request.getfixturevalue("postgres").dsn, "agreement"),
    ]
    if find_mariadb() is not None:
        places.append(WarehouseLocation("mysql", str(request.getfixturevalue("mariadb").port), "agreement"))
    targets = {
        place.engine: place.open(**({"hold_seconds": 3600} if place.engine == "duckdb" else {})) for place in places
    }
    yield targets
    for target in targets.values():
        target.close()


def load_afresh(target: Warehouse, groups: Iterable[list[RecordBatch]]) -> list[dict[str, Any]]:
    with target.transaction() as session:
        session.fetch_workspace("time_entries", None)
        session.run('delete from "time_entries"')
    for group in groups:
        target.load(group)
    found = rows(target, f"select {', '.join(NAMES)} from time_entries order by id")
    stored = [dict(zip(NAMES, row, strict=True)) for row in found]
    for row in stored:
        if isinstance(row["tag_ids"], str):
            row["tag_ids"] = [int(tag) for tag in row["tag_ids"].strip("[]").split(",") if tag]
    return stored


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), history=st.lists(entry_observations(), min_size=1, max_size=8))
def test_any_order_grouping_and_repetition_gives_the_same_rows_on_every_engine(
    targets: dict[str, Warehouse], data: st.DataObject, history: list[EntryObservation]
) -> None:
    batches = [seen.batch() for seen in history]
    expected = merge_by_rule(batches)
    for target in targets.values():
        repeated = batches + data.draw(st.lists(st.sampled_from(batches), max_size=2), label="repeated")
        order = data.draw(st.permutations(repeated), label="order")
        cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=3), label="cuts") | {len(order)})
        groups = [order[begin:end] for begin, end in zip([0, *cuts], cuts, strict=False)]
        assert load_afresh(target, groups) == expected
