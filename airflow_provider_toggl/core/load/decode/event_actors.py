"""The user who caused an event."""

from __future__ import annotations

from typing import Any

import msgspec

_DIGITS = 19


class _Metadata(msgspec.Struct, gc=False):
    """The user in the metadata: the id as a text (as recorded from Toggl) or, in a PING, as a number."""

    event_user_id: Any = None


_METADATA = msgspec.json.Decoder(_Metadata)
_ANYTHING = msgspec.json.Decoder()


def find_actor(metadata: msgspec.Raw, creator_id: msgspec.Raw) -> int | None:
    """Return the id of the user whom an event names, None if it names none.

    :param metadata: the event's ``metadata``; its ``event_user_id`` takes precedence.
    :param creator_id: the event's ``creator_id``.
    """
    found = None
    if metadata:
        try:
            found = user_id_of(_METADATA.decode(metadata).event_user_id)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
    if found is None and creator_id:
        try:
            found = user_id_of(_ANYTHING.decode(creator_id))
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
    return found


def find_actor_of(document: dict[str, Any]) -> int | None:
    """Return the same for an event that is decoded as a whole."""
    metadata = document.get("metadata")
    found = user_id_of(metadata.get("event_user_id")) if isinstance(metadata, dict) else None
    return user_id_of(document.get("creator_id")) if found is None else found


def user_id_of(value: Any) -> int | None:
    """Return a user's id from a number or its digits, None if it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value < 2**63 else None
