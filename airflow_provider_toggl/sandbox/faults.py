"""Faults that tests inject into API responses and webhook deliveries: what goes wrong, where, and how often."""

from __future__ import annotations

import copy
import itertools
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


class MalformedFault(ValueError):
    """A malformed request to inject a fault."""


#: The options of each fault of API responses with their defaults; ``...`` marks a required option. The docs
#: build copies the comment above each kind into the reference, also for ``DELIVERY_KINDS``.
API_KINDS: dict[str, dict[str, Any]] = {
    # Answer with this status, by default with an HTML page. `before_quota`: it costs no request, unlike all other
    # faults. `takes_effect`: the endpoint runs first, so a write fails but has happened.
    "status": {"status": ..., "body": None, "headers": {}, "before_quota": False, "takes_effect": False},
    # Carry out the request, and answer so many real seconds later.
    "slow": {"seconds": ...},
    # Send this part of the body, then close the connection.
    "cut": {"fraction": 0.5},
    # Close the connection without an answer. With `takes_effect`, the request is carried out at once, or `late_seconds`
    # real seconds later. Without, it never is, and `late_seconds` is ignored.
    "hang_up": {"takes_effect": True, "late_seconds": 0},
    # Leave out the last rows of a page. The `X-Next-*` headers of a detailed report show where it really ended; with
    # `keep_next`, and in other lists, a client loses these rows.
    "short_page": {"drop_rows": 1, "keep_next": False},
    # Reports and sums show time entries as they were so many seconds ago.
    "reports_lag": {"seconds": ...},
    # Reports leave out a share of these time entries (`null`: of all), drawn by `seed`. Rows, row numbers, headers and
    # sums agree. `match.path` chooses which reports lack them.
    "hide_entries": {"ids": None, "share": 1.0},
    # A 200 whose body is not JSON.
    "not_json": {"body": "<html><body>Bad gateway</body></html>", "content_type": "application/json; charset=utf-8"},
    # Remove a field from every row, or from row number `row` (from 0). Dots go into nested objects, as in
    # `time_entries.seconds`.
    "drop_field": {"field": ..., "row": None},
    # Set or add a field, likewise.
    "set_field": {"field": ..., "value": ..., "row": None},
}

#: The options of each fault of webhook deliveries.
DELIVERY_KINDS: dict[str, dict[str, Any]] = {
    # Send the same bytes `copies` more times, all `seconds` after the first.
    "duplicate": {"copies": 1, "seconds": 0.0},
    # Send the same event `copies` more times, likewise, each with another `timestamp` and so with another signature.
    "resend": {"copies": 1, "seconds": 0.0},
    # Send it so many seconds late; later events overtake it.
    "delay": {"seconds": 0.5},
    # Send it late by a random time of up to so many seconds.
    "reorder": {"seconds": 0.5},
    # Never send it; the log of events does not have it.
    "drop": {},
    # Sign the first attempt with another secret, and later ones correctly.
    "wrong_signature": {},
}
#: Most copies of one event.
MOST_COPIES = 1_000_000

_COMMON = {"kind", "times", "probability", "seed"}


@dataclass(frozen=True)
class HiddenEntries:
    """Time entries that reports leave out: a ``share`` (0 to 1) of ``ids`` (None: of all), drawn by ``seed``."""

    ids: frozenset[int] | None
    share: float
    seed: int

    def hides(self, entry_id: int) -> bool:
        """Return whether a time entry is left out; this depends on its id and the seed alone."""
        if self.ids is not None and entry_id not in self.ids:
            return False
        mixed = (entry_id * _INCREMENT + (self.seed + 1) * _MULTIPLIER) & _WORD
        mixed = ((mixed ^ mixed >> 30) * _MULTIPLIER) & _WORD
        return (mixed ^ mixed >> 27) & _LOW < self.share * (_LOW + 1)


#: The constants of SplitMix64, a hash that is much faster than a random generator for each time entry.
_INCREMENT, _MULTIPLIER, _WORD, _LOW = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 2**64 - 1, 2**32 - 1


@dataclass
class Fault:
    """One injected fault.

    :param method: of the requests that it affects; None: any. Deliveries have neither method nor path.
    :param left: how many requests or events it still affects; None: until it is cleared.
    :param probability: of affecting a matching one; None: always.
    """

    id: int
    kind: str
    options: dict[str, Any]
    method: str | None
    path: re.Pattern[str] | None
    left: int | None
    probability: float | None
    seed: int
    hits: int = 0

    def __post_init__(self) -> None:
        self._dice = random.Random(f"fault:{self.seed}")

    def strikes(self, method: str = "", path: str = "") -> bool:
        """Decide whether it affects a request or an event, and count it."""
        if self.left == 0 or (self.method and self.method != method) or (self.path and not self.path.search(path)):
            return False
        if self.probability is not None and self._dice.random() >= self.probability:
            return False
        self.hits += 1
        if self.left is not None:
            self.left -= 1
        return True

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as the control API shows it."""
        match = {"method": self.method, "path": self.path.pattern if self.path else None}
        return {
            "id": self.id,
            "kind": self.kind,
            **self.options,
            "match": {name: value for name, value in match.items() if value is not None},
            "left": self.left,
            "probability": self.probability,
            "seed": self.seed,
            "hits": self.hits,
        }


class ArmedFaults:
    """The injected faults of API responses or of deliveries.

    :param kinds: ``API_KINDS`` or ``DELIVERY_KINDS``.
    """

    def __init__(self, kinds: dict[str, dict[str, Any]]) -> None:
        self._kinds = kinds
        self._faults: list[Fault] = []
        self._ids = itertools.count(1)

    def inject(self, body: Any) -> Fault:
        """Add a fault from a request of the control API.

        Without ``times`` and ``probability`` it affects the next matching request or event only; with ``times`` null,
        or with a ``probability`` and no ``times``, it stays until it is cleared.

        :raises MalformedFault: the request is malformed; nothing was added.
        """
        kind, options = _read_kind(body, self._kinds)
        method, path = _read_match(body.get("match"))
        probability, seed = _read_probability(body)
        fault = Fault(next(self._ids), kind, options, method, path, _read_times(body), probability, seed)
        self._faults.append(fault)
        return fault

    def strike(self, method: str, path: str, *, before_quota: bool) -> list[Fault]:
        """Return the faults that affect a request, and forget those that are used up.

        :param before_quota: ask those that act before the quota is charged, or the others.
        """
        stage = [fault for fault in self._faults if bool(fault.options.get("before_quota")) is before_quota]
        struck = [fault for fault in stage if fault.strikes(method, path)]
        self._faults = [fault for fault in self._faults if fault.left != 0]
        return struck

    def strike_event(self) -> dict[str, dict[str, Any]]:
        """Return the options of the faults that affect the next event, by kind.

        Of several faults of one kind, the first one acts. Used-up faults stay listed with their hits.
        """
        struck: dict[str, dict[str, Any]] = {}
        for fault in list(self._faults):
            if fault.kind not in struck and fault.strikes():
                struck[fault.kind] = fault.options
        return struck

    def clear(self) -> int:
        """Remove all faults, and return how many there were."""
        count = len(self._faults)
        self._faults.clear()
        return count

    def as_list(self) -> list[dict[str, Any]]:
        """Return all faults as the control API shows them."""
        return [fault.as_dict() for fault in self._faults]


def hidden_entries_of(faults: Iterable[Fault]) -> tuple[HiddenEntries, ...]:
    """Return what faults hide from reports."""
    hiding = [fault for fault in faults if fault.kind == "hide_entries"]
    chosen = [(fault.options["ids"], fault.options["share"], fault.seed) for fault in hiding]
    return tuple(HiddenEntries(None if ids is None else frozenset(ids), share, seed) for ids, share, seed in chosen)


def change_body(body: Any, faults: Iterable[Fault]) -> Any:
    """Return a copy of a JSON body with fields removed or set by faults."""
    for fault in faults:
        if fault.kind in ("drop_field", "set_field"):
            body = copy.deepcopy(body)
            rows = rows_of(body)
            row = fault.options["row"]
            for one in rows if rows is not None else [body]:
                if row is None or (rows is not None and row < len(rows) and one is rows[row]):
                    _change_field(one, fault.options["field"].split("."), fault)
    return body


def rows_of(body: Any) -> list[Any] | None:
    """Return the rows of a page: the body itself, or the list in its envelope; None if there is no list."""
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        for name in ("data", "groups"):
            if isinstance(body.get(name), list):
                rows: list[Any] = body[name]
                return rows
    return None


def _change_field(value: Any, names: list[str], fault: Fault) -> None:
    if isinstance(value, list):
        for one in value:
            _change_field(one, names, fault)
    elif isinstance(value, dict):
        if len(names) > 1:
            _change_field(value.get(names[0]), names[1:], fault)
        elif fault.kind == "drop_field":
            value.pop(names[0], None)
        else:
            value[names[0]] = copy.deepcopy(fault.options["value"])


def _read_kind(body: Any, kinds: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict):
        raise MalformedFault("A fault is a JSON object.")
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in kinds:
        raise MalformedFault(f"kind must be one of {', '.join(kinds)}, not {kind!r}.")
    common = {*_COMMON, "match"} if kinds is API_KINDS else _COMMON
    unknown = sorted(set(body) - common - set(kinds[kind]))
    if unknown:
        shown = ", ".join(kinds[kind]) or "none"
        raise MalformedFault(f"A fault of kind {kind} has no option {', '.join(unknown)}; its options: {shown}.")
    options = {name: body.get(name, default) for name, default in kinds[kind].items()}
    missing = [name for name, value in options.items() if value is ...]
    if missing:
        raise MalformedFault(f"A fault of kind {kind} needs {', '.join(missing)}.")
    for name, value in options.items():
        if name in _CHECKS and not _CHECKS[name][0](value):
            raise MalformedFault(f"{name} must be {_CHECKS[name][1]}, not {value!r}.")
    return kind, options


def _read_times(body: dict[str, Any]) -> int | None:
    times = body.get("times", None if "times" in body or body.get("probability") is not None else 1)
    if times is not None and not (_is_integer(times) and times >= 1):
        raise MalformedFault("times must be an integer of 1 or more, or null to stay until it is cleared.")
    return times


def _read_probability(body: dict[str, Any]) -> tuple[float | None, int]:
    probability, seed = body.get("probability"), body.get("seed", 0)
    if probability is not None and not (_is_number(probability) and 0 <= probability <= 1):
        raise MalformedFault("probability must be a number from 0 to 1.")
    if not _is_integer(seed):
        raise MalformedFault("seed must be an integer.")
    return probability, seed


def _read_match(match: Any) -> tuple[str | None, re.Pattern[str] | None]:
    if match is None:
        return None, None
    if not isinstance(match, dict) or set(match) - {"method", "path"}:
        raise MalformedFault("match must be an object of method and path, a regular expression searched in the path.")
    method, path = match.get("method"), match.get("path")
    if not all(value is None or isinstance(value, str) for value in (method, path)):
        raise MalformedFault("match.method and match.path must be texts.")
    try:
        return (method.upper() if method else None), (re.compile(path) if path else None)
    except re.error as error:
        raise MalformedFault(f"match.path is not a regular expression: {error}.") from error


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_ids(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(_is_integer(one) for one in value))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_headers(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for pair in value.items() for part in pair)


_FLAG = (lambda v: isinstance(v, bool), "true or false")
_SECONDS = (lambda v: _is_number(v) and 0 <= v < 1e9, "a number of seconds, 0 or more")
#: The check of each option, and what its values are; other options take anything.
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "status": (lambda v: _is_integer(v) and 200 <= v <= 599, "an integer from 200 to 599"),
    "headers": (_is_headers, "an object of texts"),
    "before_quota": _FLAG,
    "takes_effect": _FLAG,
    "keep_next": _FLAG,
    "seconds": _SECONDS,
    "late_seconds": _SECONDS,
    "fraction": (lambda v: _is_number(v) and 0 <= v < 1, "a number from 0 to under 1"),
    "ids": (_is_ids, "a list of integers, or null for all"),
    "share": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 to 1"),
    "drop_rows": (lambda v: _is_integer(v) and v >= 1, "an integer of 1 or more"),
    "copies": (lambda v: _is_integer(v) and 0 <= v <= MOST_COPIES, f"an integer from 0 to {MOST_COPIES:,}"),
    "content_type": (lambda v: isinstance(v, str), "a text"),
    "field": (lambda v: isinstance(v, str) and bool(v), "the name of a field"),
    "row": (lambda v: v is None or (_is_integer(v) and v >= 0), "the number of a row from 0, or null for all"),
}
