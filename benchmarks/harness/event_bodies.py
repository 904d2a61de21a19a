"""Bodies of webhooks as Toggl sends them, in any number, the same ones each time.

Keys, their order and the forms of values as in published deliveries of 2023 to 2025.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

WORKSPACE = 7_000_001
FIRST_EVENT = 8_300_000_000_000_000
FIRST_ENTRY = 4_300_000_000
BEGIN = datetime(2026, 3, 2, 8, tzinfo=timezone.utc)


def make_bodies(count: int, *, per_entry: int = 3, seed: int = 1) -> Iterator[bytes]:
    """Yield bodies about time entries: made, changed a few times, and a few of them deleted in the end.

    :param count: how many.
    :param per_entry: how many in a row are about the same entry, as when somebody works on it.
    """
    rng = random.Random(seed)
    for number in range(count):
        entry, step = divmod(number, per_entry)
        yield json.dumps(_body(rng, number, FIRST_ENTRY + entry, step, per_entry), separators=(",", ":")).encode()


def _body(rng: random.Random, number: int, entry_id: int, step: int, steps: int) -> dict[str, object]:
    moment = BEGIN + timedelta(seconds=number * 0.7)
    created_at = moment + timedelta(milliseconds=382)
    user_id = 9_000_001 + rng.randrange(40)
    is_last = step == steps - 1
    action = "created" if step == 0 else "deleted" if is_last and rng.random() < 0.05 else "updated"
    start = BEGIN - timedelta(days=entry_id % 300, seconds=rng.randrange(80_000))
    seconds = rng.randrange(60, 14_400)
    description = f"{rng.choice(('Review', 'Besprechung', '設計', 'Déploiement'))} {rng.getrandbits(64):x}"
    project_id = 201_870_000 + rng.randrange(60)
    payload = {
        "at": moment.isoformat(timespec="seconds"),
        "billable": rng.random() < 0.4,
        "description": description,
        "duration": seconds,
        "duronly": True,
        "id": entry_id,
        "pid": project_id,
        "project_id": project_id,
        "server_deleted_at": moment.isoformat(timespec="seconds") if action == "deleted" else None,
        "start": _zulu(start),
        "stop": _zulu(start + timedelta(seconds=seconds)),
        "tag_ids": [15_980_000 + rng.randrange(30)],
        "tags": ["a tag"],
        "task_id": None,
        "uid": user_id,
        "user_id": user_id,
        "wid": WORKSPACE,
        "workspace_id": WORKSPACE,
    }
    request = {"description": description, "billable": payload["billable"], "tags": ["a tag"], "created_with": "web"}
    metadata = {
        "action": action,
        "event_user_id": str(user_id),
        "model": "time_entry",
        "model_owner_id": str(user_id),
        "path": f"/api/v9/workspaces/{WORKSPACE}/time_entries/{entry_id}",
        "project_id": str(project_id),
        "project_is_private": "false",
        "request_body": json.dumps(request),
        "request_type": {"created": "POST", "updated": "PUT", "deleted": "DELETE"}[action],
        "time_entry_id": str(entry_id),
        "workspace_id": str(WORKSPACE),
    }
    return {
        "event_id": FIRST_EVENT + number * 17,
        "created_at": created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "creator_id": user_id,
        "metadata": metadata,
        "payload": payload,
        "subscription_id": 10_713,
        "timestamp": (created_at + timedelta(milliseconds=340)).isoformat().replace("+00:00", "170Z"),
        "url_callback": "https://example.org/toggl/webhooks/toggl_default",
    }


def _zulu(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
