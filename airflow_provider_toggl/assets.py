"""Assets of Airflow that stand for what a Toggl workspace has: ``toggl://{workspace_id}/{stream}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from airflow_provider_toggl.core.arguments import parse_choice, parse_id, parse_json_object, required
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.streams import STREAMS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Asset
    from airflow.sdk import AssetWatcher

EVERYTHING = "events"
"""In place of a stream: whatever changed in the workspace."""

DAYS = "days"
"""In place of a stream: days whose time entries changed, each a partition (``YYYY-MM-DD``) where Airflow has them."""

_MORE = (EVERYTHING, DAYS)


def toggl_asset(
    workspace_id: int | str,
    stream: str = EVERYTHING,
    *,
    watchers: Sequence[AssetWatcher] = (),
    extra: Mapping[str, Any] | None = None,
) -> Asset:
    """Return the asset of a stream of a workspace.

    :param workspace_id: a whole number.
    :param stream: a stream's name, such as ``time_entries``; ``events`` stands for all of them, ``days`` for the
        days whose time entries changed, as partitions.
    :param watchers: what makes events of it.
    :raises ConfigurationError: there can be no such workspace, or there is no such stream.
    """
    from airflow.sdk import Asset  # noqa: PLC0415 - Airflow loads this module to check a URI

    number = required(parse_id)("workspace_id", workspace_id)
    word = required(partial(parse_choice, options=(*_MORE, *STREAMS)))("stream", stream)
    try:
        uri = sanitize_uri(SplitResult("toggl", str(number), f"/{word}", "", ""))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return Asset(uri=uri.geturl(), watchers=list(watchers), extra=parse_json_object("extra", extra) or {})


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return the one form of a URI of this scheme.

    :raises ValueError: it is not ``toggl://{workspace_id}/{stream}``; Airflow shows the message.
    """
    whole = uri.geturl()
    workspace, stream = uri.netloc, uri.path.strip("/")
    if uri.query or uri.fragment or not (workspace.isascii() and workspace.isdigit()) or not int(workspace):
        raise ValueError(f"{whole!r} is not toggl://<workspace id>/<stream>, the id being a whole number.")
    if stream not in STREAMS and stream not in _MORE:
        raise ValueError(
            f"{whole!r} names no stream. Streams: {EVERYTHING} (all of them), "
            f"{DAYS} (of time entries), {', '.join(STREAMS)}."
        )
    return SplitResult("toggl", str(int(workspace)), f"/{stream}", "", "")
