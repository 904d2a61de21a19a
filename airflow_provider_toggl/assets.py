"""Airflow assets of a Toggl workspace: ``toggl://{workspace_id}/{stream}``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult
from weakref import WeakValueDictionary

from airflow_provider_toggl.core.arguments import parse_choice, parse_id, parse_json_object, parse_storage_url, required
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.lineage import parse_uri
from airflow_provider_toggl.core.streams import STREAMS

if TYPE_CHECKING:
    from airflow.providers.common.compat.openlineage.facet import Dataset
    from airflow.providers.common.compat.sdk import Asset
    from airflow.sdk import AssetWatcher

    from airflow_provider_toggl.triggers.events import TogglEventTrigger

ALL_EVENTS = "events"
"""In place of a stream: any change in the workspace."""

DAYS = "days"
"""In place of a stream: days whose time entries changed, each a partition (``YYYY-MM-DD``) if Airflow has them."""

_SPECIAL_STREAMS = (ALL_EVENTS, DAYS)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{16}", re.ASCII)

_watched: WeakValueDictionary[str, Asset] = WeakValueDictionary()
"""The assets that ``toggl_events`` has returned in this process, by name."""


def toggl_asset(
    workspace_id: int | str,
    stream: str = ALL_EVENTS,
    *,
    watchers: Sequence[AssetWatcher] = (),
    extra: Mapping[str, Any] | None = None,
) -> Asset:
    """Return the asset of a stream of a workspace.

    :param workspace_id: a whole number.
    :param stream: a stream's name, such as ``time_entries``; ``events`` stands for all of them, ``days`` for the
        days whose time entries changed, as partitions.
    :param watchers: must be empty; use ``toggl_events``.
    :raises ConfigurationError: the workspace or the stream is not valid, or there are watchers.
    """
    from airflow.sdk import Asset  # noqa: PLC0415 - Airflow loads this module to check a URI

    if watchers:
        raise ConfigurationError(
            f"toggl_asset({workspace_id}, {stream!r}) cannot have watchers: all DAGs share this asset, so one DAG's "
            "watcher would replace another's, or start its runs. Use an asset of its own for the watcher: schedule="
            f'toggl_events("<name>", {workspace_id}, entity=..., transition=...), of airflow_provider_toggl.assets.'
        )
    number = required(parse_id)("workspace_id", workspace_id)
    word = required(partial(parse_choice, options=(*_SPECIAL_STREAMS, *STREAMS)))("stream", stream)
    try:
        uri = sanitize_uri(SplitResult("toggl", str(number), f"/{word}", "", ""))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return Asset(uri=uri.geturl(), extra=parse_json_object("extra", extra) or {})


def toggl_files_asset(path: Any, stream: str, *, extra: Mapping[str, Any] | None = None) -> Asset:
    """Return the asset of the files of a stream, for the outlets of ``TogglToFilesOperator``.

    Its URI is the path and the stream: ``s3://bucket/toggl/time_entries``. It names no connection, because DAGs that
    read the files may have another.

    :param path: as the operator's.
    :param stream: a stream's name, such as ``time_entries``.
    :raises ConfigurationError: the path or the stream is not valid.
    """
    from airflow.sdk import Asset  # noqa: PLC0415 - Airflow loads this module to check a URI

    url = required(parse_storage_url)("path", path)
    word = required(partial(parse_choice, options=STREAMS))("stream", stream)
    return Asset(uri=f"{strip_conn_id(url)}/{word}", extra=parse_json_object("extra", extra) or {})


def strip_conn_id(url: str) -> str:
    """Return a URL without the connection in it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def toggl_events(
    name: str,
    workspace_id: int | str,
    *,
    entity: str | Sequence[str] | None = None,
    action: str | Sequence[str] | None = None,
    project_id: int | str | Sequence[int | str] | None = None,
    user_id: int | str | Sequence[int | str] | None = None,
    client_id: int | str | Sequence[int | str] | None = None,
    tag_id: int | str | Sequence[int | str] | None = None,
    where: Mapping[str, Any] | None = None,
    transition: str | Sequence[str] | None = None,
    from_project_id: int | str | Sequence[int | str] | None = None,
    to_project_id: int | str | Sequence[int | str] | None = None,
    unknown_previous: Literal["ignore", "match"] = "ignore",
    toggl_conn_id: str = "toggl_default",
    event_store_conn_id: str | None = None,
    since: datetime | str | None = None,
    after: int | None = None,
    quiet_seconds: float = 0.02,
    max_wait_seconds: float = 30.0,
    max_events: int = 10_000,
    extra: Mapping[str, Any] | None = None,
) -> Asset:
    """Return an asset that is updated when the workspace has matching events. Use it as a DAG's ``schedule``.

    The asset and its watcher belong to this name and filter alone. Its name is ``toggl://{workspace_id}/events/{name}``.
    Its URI also has a digest of the other arguments, so two filters never share an asset. If two DAG files use one name
    with different arguments, Airflow activates one of the assets and shows a warning at the DAG of the other.

    :param name: letters, digits, ``_``, ``-`` and ``.``. Several DAGs may use the same name with the same arguments.
        The event store keeps by this name how far the watcher has read; a change of the filter keeps that, too.
    :param entity, action, project_id, user_id, client_id, tag_id, where: which events match, as for
        ``TogglEventSensor``.
    :param transition, from_project_id, to_project_id, unknown_previous: what the events must have changed, likewise.
    :param toggl_conn_id, event_store_conn_id, since, after, quiet_seconds, max_wait_seconds, max_events: as for
        ``TogglEventTrigger``.
    :raises ConfigurationError: the name or an argument is not valid, nothing could ever match, or the name is in use
        with other arguments.
    """
    from airflow.sdk import Asset, AssetWatcher  # noqa: PLC0415 - Airflow loads this module to check a URI

    from airflow_provider_toggl.triggers.events import TogglEventTrigger  # noqa: PLC0415

    shared = toggl_asset(workspace_id)
    if not _NAME.fullmatch(name or ""):
        raise ConfigurationError(
            f"The name of toggl_events is {name!r}; it has 1 to 100 letters, digits, '_', '-' or '.', and begins with "
            "a letter or digit. It names the asset and its consumer in the event store."
        )
    wanted = {
        "entities": entity,
        "actions": action,
        "workspace_ids": workspace_id,
        "project_ids": project_id,
        "user_ids": user_id,
        "client_ids": client_id,
        "tag_ids": tag_id,
        "where": where,
        "transitions": transition,
        "from_project_ids": from_project_id,
        "to_project_ids": to_project_id,
        "unknown_previous": unknown_previous,
    }
    trigger = TogglEventTrigger(
        toggl_conn_id=toggl_conn_id,
        event_store_conn_id=event_store_conn_id,
        event_filter={key: value for key, value in wanted.items() if value is not None},
        consumer=f"{shared.uri}/{name}",
        since=since,
        after=after,
        quiet_seconds=quiet_seconds,
        max_wait_seconds=max_wait_seconds,
        max_events=max_events,
    )
    asset = Asset(
        name=f"{shared.uri}/{name}",
        uri=f"{shared.uri}/{name}/{_digest(trigger)}",
        watchers=[AssetWatcher(name=f"{shared.uri}/{name}", trigger=trigger)],
        extra=parse_json_object("extra", extra) or {},
    )
    known = _watched.setdefault(asset.name, asset)
    if known.uri != asset.uri:
        raise ConfigurationError(
            f"toggl_events({name!r}, {workspace_id}) is used twice with different arguments, and a name belongs to one "
            "filter. Choose another name for one of them, or use the same arguments for both."
        )
    return asset


def _digest(trigger: TogglEventTrigger) -> str:
    """Return a digest of a trigger's arguments, without defaults: later versions may add arguments."""
    defaults = type(trigger)().serialize()[1]
    changed = {key: value for key, value in trigger.serialize()[1].items() if value != defaults[key]}
    return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:16]


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the canonical form of a URI of this scheme. Airflow calls this and shows the error.

    :raises ValueError: it is neither ``toggl://{workspace_id}/{stream}`` nor a URI of ``toggl_events``.
    """
    whole = uri.geturl()
    workspace, stream = uri.netloc, uri.path.strip("/")
    if uri.query or uri.fragment or not (workspace.isascii() and workspace.isdigit()) or not int(workspace):
        raise ValueError(f"{whole!r} is not toggl://<workspace id>/<stream> with a whole number as the id.")
    folder, _, rest = stream.partition("/")
    if folder == ALL_EVENTS and rest:
        name, _, digest = rest.partition("/")
        if not _NAME.fullmatch(name) or not _DIGEST.fullmatch(digest):
            raise ValueError(
                f"{whole!r} is an asset that only toggl_events() of airflow_provider_toggl.assets can build. To refer "
                f'to one of another DAG file, use Asset.ref(name="toggl://{int(workspace)}/events/{name}").'
            )
    elif stream not in STREAMS and stream not in _SPECIAL_STREAMS:
        raise ValueError(
            f"{whole!r} names no stream. Streams: {ALL_EVENTS} (all of them), "
            f"{DAYS} (of time entries), {', '.join(STREAMS)}."
        )
    return SplitResult("toggl", str(int(workspace)), f"/{stream}", "", "")


def convert_asset_to_openlineage(asset: Asset, _hook: Any) -> Dataset:
    """Return the data set that an asset stands for. Airflow's OpenLineage provider calls this.

    :param asset: of this scheme, or a table of a warehouse that a hook reported.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset  # noqa: PLC0415 - of another provider

    return Dataset(*parse_uri(asset.uri))
