"""Confirm the deletion of entries that reports lack: the steps to take. Pure, see ``steps``.

``deletion_policy`` decides, ``probes`` plans the requests, and these generators put them in order. What stays live is
recorded in the state, with its reason.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone, tzinfo
from typing import Any

import numpy as np

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.summaries import Int64s
from airflow_provider_toggl.core.reconcile import deletion_policy, steps
from airflow_provider_toggl.core.reconcile.compare import Bools, EntryRows, ReportTime, day_of, join_days
from airflow_provider_toggl.core.reconcile.deletion_policy import ProbeAnswer
from airflow_provider_toggl.core.reconcile.probes import DeletionProbe, build_planner
from airflow_provider_toggl.core.reconcile.request import list_ids
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.steps import ShownEntries, Steps, ask

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class MissingRows:
    """What reports lack of a window.

    :param candidates: live rows that reports lack.
    :param rows: all live rows of the window, with the candidates.
    :param at: when the reports were made.
    """

    candidates: EntryRows
    rows: EntryRows
    at: ReportTime

    @property
    def present(self) -> EntryRows:
        """The rows that reports showed."""
        return self.rows.where(~self.rows.among(self.candidates.ids))


def select_candidates(missing: MissingRows, state: RunState) -> Steps[tuple[EntryRows, bool]]:
    """Return the candidates that are worth a probe, and whether there are so many that a person must approve.

    Records why the others stay live. Asks Toggl only which entries the token may see.
    """
    known = {id_ for ids in state.window.unverified.values() for id_ in ids}
    candidates = missing.candidates.where(~missing.candidates.among(known))
    if not len(candidates):
        return candidates, False
    visibility = yield from ask(steps.ReadVisibility())
    rules = state.request.rules
    invisible = deletion_policy.find_invisible(candidates, visibility, missing.at.date)
    candidates = _keep_live(state, candidates, invisible)
    whole_users = deletion_policy.find_whole_users(candidates, missing.present, rules)
    candidates = _keep_live(state, candidates, {deletion_policy.WHOLE_USER: whole_users})
    return candidates, rules.need_approval(len(candidates), len(missing.rows))


def confirm_deletions(
    candidates: EntryRows, missing: MissingRows, state: RunState, zone: tzinfo, bounds: Int64s
) -> Steps[None]:
    """Probe for the candidates, and mark those as deleted for which no reason to keep them remains.

    :param bounds: when each day of the window begins, and when the last one ends.
    """
    left = candidates
    while len(left):
        by_ids = state.cursor.takes_ids is not False
        probes = yield from _plan_probes(left, missing, state, zone, bounds, by_ids=by_ids)
        for probe in probes:
            if not (yield from _send_probe(probe, state, by_ids=by_ids)):
                # Reports ignore the filter by ids, which is now known in ``cursor.takes_ids``: the other candidates are
                # probed by days.
                break
            left = left.where(~left.among(probe.candidates.ids))
        else:
            return


def _plan_probes(
    candidates: EntryRows, missing: MissingRows, state: RunState, zone: tzinfo, bounds: Int64s, *, by_ids: bool
) -> Steps[Iterator[DeletionProbe]]:
    # Where only totals were compared, no report has shown the present rows; but no total would be right without them.
    present = missing.present
    others = present
    if not len(present):
        others = yield from ask(steps.QueryNeighbours(int(bounds[0]), int(bounds[-1])))
    planner = build_planner(present, others, zone, state.page_size, state.span_days)
    if by_ids:
        return planner.probes_by_ids(candidates)
    count: dict[date, int] = {}
    for start in missing.rows.starts[np.isin(missing.rows.users, candidates.users)].tolist():
        day = day_of(start, zone)
        count[day] = count.get(day, 0) + 1
    days = sorted({day_of(start, zone) for start in candidates.starts.tolist()})
    return planner.probes_by_days(candidates, join_days(days, count, state.page_size))


def _send_probe(probe: DeletionProbe, state: RunState, *, by_ids: bool) -> Steps[bool]:
    """Send one probe and decide by its answer; return False if the answer shows that reports ignore the ids."""
    filters: dict[str, Any] = {}
    if by_ids:
        # Newest first: an answer that is cut then lacks other entries than the report that lacked the candidates.
        filters = {"time_entry_ids": probe.ids, "order_dir": "DESC"}
    if probe.users:
        filters = {"user_ids": probe.users}
    before = state.window.unverified
    try:
        shown = yield from ask(steps.ReadEntries(probe.window, filters))
    except MalformedAnswer as error:
        log.warning("%s", error)
        _record(state, deletion_policy.INCOMPLETE_ANSWER, probe.candidates.ids.tolist())
    else:
        if shown.has_others and not shown.is_complete:
            return False
        yield from _decide(probe, shown, state)
    if state.window.unverified != before:
        yield from ask(steps.SaveProgress())
    return True


def _decide(probe: DeletionProbe, shown: ShownEntries, state: RunState) -> Steps[None]:
    missing = probe.candidates.where(~probe.candidates.among(shown.ids))
    if not len(missing):
        return
    if not shown.is_complete:
        _record(state, deletion_policy.INCOMPLETE_ANSWER, missing.ids.tolist())
        return
    described_at = shown.observed_at or _EPOCH
    answer = ProbeAnswer(
        date=described_at + state.request.lag,
        described_at=described_at,
        is_sound=probe.is_answered_by(shown.ids),
        first_start=shown.first_start,
        newest_change=state.newest_change,
        shows_running=state.cursor.shows_running,
    )
    visibility = yield from ask(steps.ReadVisibility())
    reasons = deletion_policy.find_reasons_to_keep(missing, answer, visibility, state.request.rules)
    deleted = _keep_live(state, missing, reasons)
    if len(deleted):
        yield from ask(steps.MarkDeleted(deleted.ids.tolist(), described_at))
        log.info("Marked as deleted, because Toggl no longer has them: %s.", list_ids(deleted.ids.tolist()))


def _keep_live(state: RunState, rows: EntryRows, masks: Mapping[str, Bools]) -> EntryRows:
    """Record the rows that stay live, by reason; return the others."""
    for reason, ids in deletion_policy.ids_by_reason(masks, rows).items():
        _record(state, reason, ids)
    kept = np.any(np.stack(list(masks.values())), axis=0) if masks else np.zeros(len(rows), np.bool_)
    return rows.where(~kept)


def _record(state: RunState, reason: str, ids: Sequence[int]) -> None:
    state.add_unverified(reason, ids)
    log.warning("%d missing in reports and kept: %s (%s).", len(ids), reason, list_ids(ids))
