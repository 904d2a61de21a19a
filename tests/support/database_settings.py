"""Everything that the package does with a database, to compare the results under two settings of the server."""

from __future__ import annotations

from typing import Any

from support.event_stores import StoreLocation, new_event
from support.fakes import FakeClock
from support.toggl_rows import NOON, WORKSPACE, at, decode, entries, tags
from support.warehouses import WarehouseLocation, rows
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery
from airflow_provider_toggl.core.load.decode.records import RejectedRecord
from airflow_provider_toggl.core.load.tables.reads import VIEWS
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.values import Progress, Sweep
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest

_BESIDE = ("sync_state", "rejected_records", "complete_lists", "changed_days", "time_entry_versions")


def exercise_warehouse(place: WarehouseLocation, store: StoreLocation) -> dict[str, list[Any]]:
    """Load, change, sweep, drain and read; return all rows of all tables and views."""
    clock = FakeClock()
    with place.open(clock=clock) as target:
        target.prepare("Asia/Kathmandu")
        target.keep_history(True)
        odd = {"tag_ids": [2, 1], "billable_amount_in_cents": 12345, "hourly_rate_in_cents": 9999}
        progress = Progress("time_entries", "7", at(5), '{"a": "\\\\ \'x\'"}', 3, NOON)
        target.load([entries(1, 2, 3, 4, description="C:\\new 'quoted' \"text\"  ", **odd), tags(1, 2, 3)], progress)
        target.load([entries(2, 2, seconds=9, description="Später 日本", at="2025-05-03T00:00:00Z")], progress)
        target.load([entries(3, seconds=9, description=None)])  # the same version with other content: a true tie
        rate = {"id": 20, "name": "P", "client_id": 30, "rate": 0.1 + 0.2, "at": "2025-05-02T00:00:00Z"}
        project = {"active": True, "start_date": "2025-02-03", "created_at": "2025-01-01T00:00:00Z", **rate}
        target.load([decode("projects", project), decode("projects", project, seconds=3)])
        target.load([tags(2, seconds=20)], Progress("tags", "7", None, "{}", 1, NOON), Sweep(WORKSPACE, at(19), 1.0))
        bad = RejectedRecord("tags", WORKSPACE, '{"id": "x\\\\"}', "id: not a number", NOON)
        batch = tags(5, seconds=30)
        target.load([type(batch)(batch.stream, batch.table, (bad,))])
        with store.open(clock=clock) as events:
            bodies = [
                webhook_body(payload=entry_payload(id_, description=f"event {id_}"), seconds=id_)
                for id_ in range(50, 58)
            ]
            events.append([received_event(one) for one in bodies])
            Drain(events, target, DrainRequest(store="default", consumer="warehouse.toggl"), clock=clock).run()
        state = target.find_state("time_entries", "7")
        assert state is not None
        assert (state.watermark, state.requests_spent, state.ran_at) == (at(5), 6, NOON)
        found = target.query('select "id" from "time_entries" where "observed_at" > ? order by "id"', [at(8)])
        assert set(found["id"].to_pylist()) >= {2, 3}
        names = (*TABLES, *_BESIDE, *VIEWS)
        return {name: sorted(rows(target, f'select * from "{name}"'), key=repr) for name in names}


def exercise_store(place: StoreLocation) -> list[Any]:
    """Append, read, list and wait, as receivers and consumers do; return the content of the store."""
    clock = FakeClock()
    with place.open(clock=clock) as store:
        body = '{"a": "\\\\ ü 日本 \U0001f680"}'.encode()
        named = {"entity": "time_entry", "action": "created", "workspace_id": 7, "entity_id": 2**53, "body": body}
        appended = store.append([new_event(1, **named), new_event(2**63, **named), new_event(1, **named)])
        assert [one.duplicate for one in appended] == [False, False, True]
        assert store.append([new_event(1)])[0].duplicate
        assert store.wait(1, 5)
        assert not store.wait(2, 0.05)
        store.activity_log.set_status("mark", "value", NOON)
        store.commit("reader", 1)
        store.activity_log.set_status("note/1", {"a": "ü\U0001f680"})
        refused = RefusedDelivery("toggl_default", "signature", "It was 'odd'.", 3, NOON, at(1), size=7)
        store.activity_log.record_received(DeliveryCounts(NOON, {("toggl_default", "stored"): 2}, [refused]))
        store.activity_log.record_measurement("lag", NOON, 0.1)
        return [
            [(one.seq, one.event) for one in store.read(0)],
            store.list_event_types("toggl_default"),
            store.find_newest_by_entity("toggl_default"),
            store.consumers(),
            store.activity_log.find_status("mark"),
            store.activity_log.list_status("note/"),
            [one.refused for one in store.activity_log.list_refusals("toggl_default")],
            store.activity_log.list_measurements("la", at(-86400)),
            store.activity_log.list_measurements("consumer/", at(-86400)),
            store.seq_before(at(-86400 * 365)),
        ]
