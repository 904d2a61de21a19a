"""Outlet assets of Toggl, and what an asset event tells of what was landed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.streams import STREAMS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_toggl.core.land.changes import Changes

_ASSET = re.compile(r"toggl://(\d+)/(\w+)/?")


def toggl_outlets(outlets: Sequence[Any] | None) -> list[tuple[Any, int, str]]:
    """Return outlets that are of Toggl, each with workspace and stream."""
    found = []
    for outlet in outlets or ():
        match = _ASSET.fullmatch(getattr(outlet, "uri", ""))
        if match:
            found.append((outlet, int(match[1]), match[2]))
    return found


def tell_outlets(context: Context, assets: list[tuple[Any, int, str]], changes: Changes) -> None:
    """Put what was touched into the extra of the assets' events."""
    for asset, workspace_id, stream in assets:
        extra: Any = context["outlet_events"][asset].extra
        if stream in STREAMS:
            extra.update(changes.told(workspace_id, stream))
        else:
            extra["streams"] = changes.told_by_stream(workspace_id)
