"""Reconcile a workspace's time entries: find out the days, read what changed, and verify window after window."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Estimate
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import AbsenceRefused, PayloadRefused
from airflow_provider_toggl.core.extract import cursor as entry_cursors
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.cursor import EntriesCursor
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.instants import parse_instant, rfc3339
from airflow_provider_toggl.core.load.load_metrics import measure_freshness
from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.reconcile import cursor as cursors
from airflow_provider_toggl.core.reconcile import hidden_periods
from airflow_provider_toggl.core.reconcile.cursor import VerifiedWindow
from airflow_provider_toggl.core.reconcile.day_range import DayRange, build_day_range
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.reconcile.hidden_periods import HiddenPeriod
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.runner import STREAM, StepRunner
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.window import WindowVerification

log = logging.getLogger(__name__)

#: In place of the time of a reading that is not known, or never was.
NEVER_READ = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Requests to verify a window where nothing differs: its changes, its summary, and one for `/me` or a further page.
REQUESTS_PER_WINDOW = 3
#: Changes of the last days of a range are read in requests of their own if their watermark is older than the others by
#: more than this.
OLDER = timedelta(days=7)


class Reconcile:
    """Verifies one workspace's time entries, and repairs what differs.

    :param summary: what earlier parts of the same run did, when it goes on after a deferral.
    """

    def __init__(
        self,
        session: TogglSession,
        target: Warehouse,
        request: ReconcileRequest,
        *,
        summary: ReconcileSummary | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self.summary = summary or ReconcileSummary(request.workspace_id)
        self.changes = Changes()
        self._windows_left = 0

    def run(self) -> ReconcileSummary:
        """Verify all windows; return the summary.

        :raises AbsenceRefused: too many entries of a window are missing at once; the other windows are verified.
        :raises TogglError: what was repaired stays, and :attr:`summary` says how much that is.
        """
        workspace_id = self._request.workspace_id
        with fields(connection=self._session.name, workspace_id=workspace_id, stream=STREAM, by="reconcile"):
            return self._attempt()

    def estimate(self) -> Estimate | None:
        """Return how many requests are left and how long they take; None before the windows are known.

        It sends no request. Days that differ are read again, which costs more than the estimate.
        """
        if not self._windows_left:
            return None
        return self._session.estimate(REQUESTS_PER_WINDOW * self._windows_left, self._workspace_path)

    def _attempt(self) -> ReconcileSummary:
        summary, started, spent = self.summary, self._clock.now(), self._session.spent
        earlier = replace(summary)
        refusals: list[str] = []
        try:
            with self._session.calling_before_waits(lambda seconds: self._target.release(force=seconds > 2.0)):
                refusals = self._reconcile()
        finally:
            summary.requests = earlier.requests + self._session.spent - spent
            summary.seconds = round(earlier.seconds + self._clock.now() - started, 3)
            self._measure(started, self._session.spent - spent, earlier)
            summary.quota_left = self._session.quota_left(self._workspace_path)
            self._target.release(force=True)
        logged = fields_of(summary) | {"inserted": summary.added, "updated": summary.edited, "absent": summary.deleted}
        logged |= {"rows": summary.entries, "unverified": sum(summary.unverified.values())}
        log_line(log, "Time entries of workspace %s, %s", self._request.workspace_id, summary, **logged)
        if refusals:
            raise AbsenceRefused(
                f"{' '.join(refusals)} None of these were marked as absent; everything else was verified and repaired. "
                "If they were really deleted, run once with allow_mass_absence. Otherwise check the rights and the "
                "plan of the token's owner."
            )
        return summary

    def _measure(self, started: float, requests: int, earlier: ReconcileSummary) -> None:
        now, summary, request = self._clock.now(), self.summary, self._request
        metrics.RUN_TIME.record(now - started, by="reconcile", stream=STREAM)
        metrics.RUN_REQUESTS.add(requests, by="reconcile", stream=STREAM)
        for result in ("added", "edited", "deleted"):
            metrics.DIFFERENCES.add(getattr(summary, result) - getattr(earlier, result), result=result)
        measure_freshness(
            None if summary.watermark is None else parse_instant(summary.watermark),
            now,
            by="reconcile",
            stream=STREAM,
            workspace_id=request.workspace_id,
            warehouse=request.warehouse,
        )

    @property
    def _workspace_path(self) -> str:
        return f"/api/v9/workspaces/{self._request.workspace_id}"

    def _reconcile(self) -> list[str]:
        """Read what changed, and verify the windows; return a sentence for each one that needs approval."""
        accounted = self._session.spent
        # The owner's zone is a setting that people change, and reports have days of that zone: so each run asks for it.
        answer = self._session.request("GET", "/api/v9/me")
        me = answer.json()
        zone = _zone_of(me)
        stored = self._target.find_state(STREAM, str(self._request.workspace_id))
        pulled = entry_cursors.load(stored.cursor if stored else None, EntriesCursor)
        state = self._load_state(pulled)
        days = build_day_range(
            state.request,
            known=EntryQueries(self._target, self._request.workspace_id).find_bounds(),
            beginning=pulled.beginning,
            zone=zone,
            now=answer.date,
            span_days=state.span_days,
        )
        self._target.release()
        runner = StepRunner(
            self._session,
            self._target,
            state,
            days,
            me=me,
            summary=self.summary,
            changes=self.changes,
            clock=self._clock,
            accounted=accounted,
        )
        if state.cursor.known_until is None:
            # Without the last two days, by default today and tomorrow, which earlier runs may not have read.
            past = Window(days.main.first, max(days.main.first, days.main.last - 2 * DAY))
            state.update(known_until=windows.watermark_of(state.cursor.changes.coverage, past) or NEVER_READ)
        _read_changes(runner, state, days)
        return self._verify(runner, state, days, zone)

    def _load_state(self, pulled: EntriesCursor) -> RunState:
        request = self._request
        stored = self._target.find_state(STREAM, request.scope)
        cursor = cursors.load(stored.cursor if stored else None)
        attempt = request.attempt.continue_from(cursor.attempt, is_resumed=request.is_resumed)
        cursor = replace(cursor, attempt=attempt if attempt.key else None)
        if not cursor.changes.coverage:
            # What the pull has read need not be read again; only its changes are, from before its mark.
            coverage = tuple(replace(known, read_at=NEVER_READ) for known in pulled.coverage)
            changes = replace(cursor.changes, coverage=coverage, span_days=pulled.span_days, page_size=pulled.page_size)
            cursor = replace(cursor, changes=changes)
        return RunState(
            request=replace(request, run_started=attempt.started),
            cursor=cursor,
            watermark=stored.watermark if stored else None,
        )

    def _verify(self, runner: StepRunner, state: RunState, days: DayRange, zone: tzinfo) -> list[str]:
        """Verify the windows that are not verified yet; return a sentence for each one that needs approval."""
        started = state.request.run_started
        done = {one.window: one for one in state.cursor.verified if one.started_at >= started}
        verified: list[VerifiedWindow] = []
        refusals: list[str] = []
        due = [window for part in days.windows for window in windows.split(part, state.span_days)]
        while due:
            self._windows_left = sum(window not in done for window in due)
            window = due.pop(0)
            if window in done:
                verified.append(done[window])
            else:
                verification = WindowVerification(window, state, zone, max(utc(self._clock.now()), started))
                try:
                    result = runner.run(verification.verify())
                except PayloadRefused:
                    # The refusal may have shortened `span_days`.
                    if window.days <= state.span_days:
                        raise
                    due = [*windows.split(window, state.span_days), *due]
                    continue
                verified.append(result.verified)
                if result.refused:
                    refusals.append(self._describe_refusal(window, *result.refused))
                    metrics.REFUSED_WINDOWS.add()
                else:
                    done[window] = result.verified
                    metrics.COMPARED_DAYS.add(window.days)
                    metrics.DIFFERENCES.add(sum(result.verified.unverified.values()), result="unverified")
                    state.update(verified=tuple(done.values()), open=None)
                    runner.store()
            self.summary.set_windows(verified)
            self._target.release()
        _end_hidden_period(runner, state, days, verified)
        if not refusals:
            mark = min(one.verified_at for one in verified)
            state.watermark = max(mark, state.watermark or mark)
        runner.store()
        self.summary.watermark = rfc3339(state.watermark)
        return refusals

    def _describe_refusal(self, window: Window, missing: int, live: int) -> str:
        rules = self._request.rules
        return (
            f"Reports lack {missing:,} of {live:,} live entries of {window} ({missing / live:.0%}), more than "
            f"absent_rows={rules.absent_rows} and absent_share={rules.absent_share:.0%} allow."
        )


def _read_changes(runner: StepRunner, state: RunState, days: DayRange) -> None:
    for part in days.windows_of_changes(state.cursor.changes.coverage, state.span_days):
        for window in windows.tail_apart(state.cursor.changes.coverage, part, OLDER):
            runner.read_changes(window, state.request.overlap)


def _end_hidden_period(runner: StepRunner, state: RunState, days: DayRange, verified: list[VerifiedWindow]) -> None:
    """Record what this run could not see, and read changes again if it could see what earlier runs could not."""
    counts = hidden_periods.count_hidden(one.unverified for one in verified)
    hidden = state.cursor.hidden
    ends = hidden is not None and hidden.ends_with(counts)
    since = (state.cursor.known_until or NEVER_READ) if hidden is None else hidden.since
    if ends:
        log.info("Reports show entries again that they did not show: reading what changed since %s.", since)
        changes = state.cursor.changes
        rewound = days.windows_of_changes(changes.coverage, state.span_days)
        state.update(changes=replace(changes, coverage=hidden_periods.rewind(changes.coverage, rewound, since)))
    state.update(hidden=HiddenPeriod(since, counts) if counts else None, known_until=None)
    if ends:
        _read_changes(runner, state, days)


def _zone_of(me: object) -> tzinfo:
    name = me.get("timezone") if isinstance(me, dict) else None
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        log.warning("The time zone of the token's owner is unknown here (%s), so days are taken as UTC days.", name)
        return timezone.utc
