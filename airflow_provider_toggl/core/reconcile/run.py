"""One reconciliation: who asks, what changed, then window after window, each with its proof in the warehouse."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone, tzinfo
from functools import cached_property
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.quota import Estimate
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import AbsenceRefused, ConfigurationError, PayloadRefused
from airflow_provider_toggl.core.extract import cursor as cursors
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.load.changes import Changes
from airflow_provider_toggl.core.load.measuring import measure_freshness
from airflow_provider_toggl.core.load.target import Target
from airflow_provider_toggl.core.log_fields import fields, fields_of, log_line
from airflow_provider_toggl.core.reconcile import deletion_policy, visibility
from airflow_provider_toggl.core.reconcile.cursor import Proof
from airflow_provider_toggl.core.reconcile.deletion_policy import Sight, read_sight
from airflow_provider_toggl.core.reconcile.reading import STREAM, Reading
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest, ReconcileSummary
from airflow_provider_toggl.core.reconcile.visibility import Blindness
from airflow_provider_toggl.core.reconcile.warehouse import Warehouse
from airflow_provider_toggl.core.reconcile.window import Surroundings, WindowProof

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
DAYS_AHEAD = 32
"""Days to come are looked through for changes, where it costs nothing, up to the next day whose number this divides."""
REQUESTS_A_WINDOW = 3
"""What comparing a window takes where nothing differs: changes, sums and ids."""
OLDER = timedelta(days=7)
"""Days at the end whose mark is so much older than that of the others are asked for by themselves."""


class Reconcile:
    """Proves one workspace's time entries, and repairs what differs.

    :param summary: what earlier parts of the same run did, when it goes on after a deferral.
    """

    def __init__(
        self,
        session: TogglSession,
        target: Target,
        request: ReconcileRequest,
        *,
        summary: ReconcileSummary | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._session = session
        self._target = target
        self._request = request
        self._clock = clock or SystemClock()
        self._warehouse = Warehouse(target, request.workspace_id)
        self.summary = summary or ReconcileSummary(request.workspace_id)
        self.changes = Changes()
        self._due = 0

    def run(self) -> ReconcileSummary:
        """Prove until every window is; return the summary.

        :raises AbsenceRefused: in a window too many entries are missing at once; the others are proved.
        :raises TogglError: what was repaired stays, and :attr:`summary` says how much that is.
        """
        workspace_id = self._request.workspace_id
        with fields(connection=self._session.name, workspace_id=workspace_id, stream=STREAM, by="reconcile"):
            return self._attempt()

    def estimate(self) -> Estimate | None:
        """Return what is left to ask of Toggl and how long that takes, None before it is known which days to compare.

        It asks nothing. What differs is read again and costs more.
        """
        if not self._due:
            return None
        return self._session.estimate(REQUESTS_A_WINDOW * self._due, self._workspace_path)

    def _attempt(self) -> ReconcileSummary:
        started, spent = self._clock.now(), self._session.spent
        earlier = self.summary.requests, self.summary.seconds
        found = self._differences()
        self._session.before_wait = lambda seconds: self._target.release(force=seconds > 2.0)
        refusals: list[str] = []
        try:
            refusals = self._run()
        finally:
            self._session.before_wait = None
            self.summary.requests = earlier[0] + self._session.spent - spent
            self.summary.seconds = round(earlier[1] + self._clock.now() - started, 3)
            self._measure(started, self._session.spent - spent, found)
            self.summary.quota_left = self._session.quota_left(self._workspace_path)
            self._target.release(force=True)
        summary, unproved = self.summary, sum(self.summary.unproved.values())
        told = fields_of(summary) | {"inserted": summary.added, "updated": summary.edited, "absent": summary.deleted}
        told |= {"rows": summary.entries, "unproved": unproved}
        log_line(log, "Time entries of workspace %s, %s", self._request.workspace_id, summary, **told)
        if refusals:
            raise AbsenceRefused(
                f"{' '.join(refusals)} Nothing of these was marked absent; all else was compared and repaired. If they "
                "were really deleted, run once with allow_mass_absence; else look at the rights and the plan of the "
                "token's owner."
            )
        return self.summary

    def _differences(self) -> dict[str, int]:
        return {"added": self.summary.added, "edited": self.summary.edited, "deleted": self.summary.deleted}

    def _measure(self, started: float, requests: int, before: dict[str, int]) -> None:
        now = self._clock.now()
        metrics.RUN_TIME.record(now - started, by="reconcile", stream=STREAM)
        metrics.RUN_REQUESTS.add(requests, by="reconcile", stream=STREAM)
        for result, number in self._differences().items():
            metrics.DIFFERENCES.add(number - before[result], result=result)
        mark = None if self.summary.watermark is None else self._reading.watermark
        workspace_id, warehouse = self._request.workspace_id, self._request.warehouse
        measure_freshness(mark, now, by="reconcile", stream=STREAM, workspace_id=workspace_id, warehouse=warehouse)

    @property
    def _workspace_path(self) -> str:
        return f"/api/v9/workspaces/{self._request.workspace_id}"

    def _run(self) -> list[str]:
        # A setting of Toggl's that people change, and days are those of this zone: asked anew in every run.
        accounted = self._session.spent
        answer = self._session.request("GET", "/api/v9/me")
        self._me = answer.json()
        self._zone = _zone_of(self._me)
        self._reading = Reading(
            self._session,
            self._target,
            self._request,
            summary=self.summary,
            clock=self._clock,
            changes=self.changes,
            accounted=accounted,
        )
        self._request = self._reading.request
        self._seed()
        self._wanted = self._find_range(answer.date)
        self._target.release()
        self._note_begin()
        self._read_changes()
        return self._prove_windows()

    def _note_begin(self) -> None:
        cursor = self._reading.cursor
        if cursor.known_to is None:
            past = Window(self._wanted[0].first, max(self._wanted[0].first, self._wanted[0].last - 2 * DAY))
            self._reading.keep(known_to=windows.watermark_of(cursor.changes.coverage, past) or _EPOCH)

    def _read_changes(self) -> None:
        for part in self._looked_through():
            for piece in windows.tail_apart(self._reading.cursor.changes.coverage, part, OLDER):
                self._reading.read_changes(piece, self._request.overlap)

    def _seed(self) -> None:
        """Begin where the pull is: what it has read need not be read again, only looked at from before its mark."""
        cursor = self._reading.cursor
        if cursor.changes.coverage:
            return
        state = self._target.find_state(STREAM, str(self._request.workspace_id))
        pulled = cursors.load_entries(state.cursor if state else None)
        coverage = tuple(replace(span, read_at=_EPOCH) for span in pulled.coverage)
        changes = replace(cursor.changes, coverage=coverage, span_days=pulled.span_days, page_size=pulled.page_size)
        self._reading.keep(changes=changes)

    def _find_range(self, now: datetime) -> list[Window]:
        """Return the days to prove: the wanted ones, and apart from them those for which entries are planned."""
        request = self._request
        today = now.astimezone(self._zone).date()
        known = self._warehouse.bounds()
        first = None if request.since is None else windows.parse_day(request.since, "since", today)
        if first is None:
            first = self._first_known_day(known[0] if known else None, today)
        last = today + DAY
        if request.until is not None:
            last = windows.parse_last_day(request.until, "until", today)
        if last < first:
            raise ConfigurationError(f"until ({last}) is before since ({first}).")
        wanted = [Window(first, last)]
        planned = known[1].astimezone(self._zone).date() if known else last
        if request.until is None and planned > last:
            wanted.append(Window(last + DAY, max(planned, windows.ahead(today, self._span).last)))
        return wanted

    def _looked_through(self) -> list[Window]:
        """Return the days to look through for changes: so many more as the same requests can reach.

        Some ahead, so that their mark is not that of the first run on the day they come, and the others back.
        """
        first, *others = self._wanted
        coverage = self._reading.cursor.changes.coverage
        asked = -(-first.days // self._span) * self._span
        ahead = DAYS_AHEAD - first.last.toordinal() % DAYS_AHEAD
        if not others and self._request.until is None and ahead <= asked - first.days:
            first = Window(first.first, first.last + ahead * DAY)
        reach = first.last - (asked - 1) * DAY
        earlier = [span.first for span in coverage if span.first < first.first]
        if earlier and not windows.gaps(coverage, Window(max(reach, earlier[0]), first.first - DAY)):
            first = Window(max(reach, earlier[0]), first.last)
        return [first, *others]

    def _first_known_day(self, first_start: datetime | None, today: date) -> date:
        state = self._target.find_state(STREAM, str(self._request.workspace_id))
        beginning = cursors.load_entries(state.cursor if state else None).beginning
        if first_start is not None:
            first = first_start.astimezone(self._zone).date() - DAY
            return max(windows.EARLIEST, min(first, today))
        if beginning is None:
            raise ConfigurationError(
                "The warehouse has no time entries of this workspace: land them first (TogglToSqlOperator), or give "
                "since."
            )
        return beginning

    @property
    def _span(self) -> int:
        return self._reading.span_days

    def _prove_windows(self) -> list[str]:
        request, reading = self._request, self._reading
        around = Surroundings(
            reading=reading,
            warehouse=self._warehouse,
            request=request,
            zone=self._zone,
            clock=self._clock,
            sight=lambda: self._sight,
            look_elsewhere=self._look_elsewhere,
            tags=self._warehouse.existing("tags"),
            tasks=self._warehouse.existing("tasks"),
        )
        refused: list[dict[str, int]] = []
        done = {proof.window: proof for proof in reading.cursor.proofs if proof.done_at >= request.run_started}
        refusals: list[str] = []
        proved: list[Proof] = []
        due = [window for part in self._wanted for window in windows.split(part, self._span)]
        while due:
            self._due = sum(one not in done for one in due)
            window = due.pop(0)
            proof = done.get(window)
            if proof is None:
                work = WindowProof(around, window)
                try:
                    proof = work.prove()
                except PayloadRefused:
                    if window.days <= self._span:
                        raise
                    due = [*windows.split(window, self._span), *due]
                    continue
                if work.refused is not None:
                    missing, live = work.refused
                    refusals.append(self._refusal(window, missing, live))
                    refused.append({deletion_policy.REFUSED: missing})
                    metrics.REFUSED_WINDOWS.add()
                else:
                    done[window] = proof
                    metrics.COMPARED_DAYS.add(window.days)
                    metrics.DIFFERENCES.add(sum(proof.unproved.values()), result="unproved")
                    self._keep_proofs(done)
            proved.append(proof)
            self.summary.take(proved)
            self._target.release()
        self._look_again(visibility.count_unseen([*(proof.unproved for proof in proved), *refused]))
        if not refusals:
            mark = min(proof.proved_at for proof in proved)
            reading.watermark = max(mark, reading.watermark or mark)
        reading.store()
        told = reading.watermark
        self.summary.watermark = None if told is None else told.isoformat().replace("+00:00", "Z")
        return refusals

    def _look_again(self, unseen: dict[str, int]) -> None:
        """Read what was changed while entries were not shown, once they are; note what is not shown now."""
        reading = self._reading
        blind = reading.cursor.blindness
        ends = blind is not None and blind.ends(unseen)
        since = (reading.cursor.known_to or _EPOCH) if blind is None else blind.since
        if ends:
            log.info("Entries are shown again that were not: looking for what was changed since %s.", since)
            changes = reading.cursor.changes
            coverage = visibility.rewind(changes.coverage, self._looked_through(), since)
            reading.keep(changes=replace(changes, coverage=coverage))
        reading.keep(blindness=Blindness(since, unseen) if unseen else None, known_to=None)
        if ends:
            self._read_changes()

    def _keep_proofs(self, done: dict[Window, Proof]) -> None:
        fresh = {window: proof for window, proof in done.items() if proof.done_at >= self._request.run_started}
        self._reading.keep(proofs=tuple(fresh.values()), open=None)
        self._reading.store()

    def _refusal(self, window: Window, missing: int, live: int) -> str:
        rules = self._request.rules
        return (
            f"Reports lack {missing:,} of {live:,} live entries of {window} ({missing / live:.0%}), more than "
            f"absent_rows={rules.absent_rows} and absent_share={rules.absent_share:.0%} allow."
        )

    @cached_property
    def _sight(self) -> Sight:
        """What the token may see; asked only when something is missing."""
        self._target.release(force=True)
        self._target.release(force=True)
        return read_sight(self._session.request("GET", self._workspace_path).json(), self._me)

    def _look_elsewhere(self) -> None:
        """Land what changed on the days beside the range, once a run: what is missing in it may have moved there."""
        if self._reading.cursor.elsewhere_at >= self._request.run_started:
            return
        coverage = self._reading.cursor.changes.coverage
        begin, end = self._looked_through()[0].first, self._wanted[-1].last
        ahead = windows.ahead(self._wanted[0].last - DAY, self._span).last
        if coverage and coverage[0].first < begin:
            self._reading.read_changes(Window(coverage[0].first, begin - DAY), self._request.overlap)
        if ahead > end:
            self._reading.read_changes(Window(end + DAY, ahead), self._request.overlap)
        self._reading.keep(elsewhere_at=self._request.run_started)


def _zone_of(me: object) -> tzinfo:
    name = me.get("timezone") if isinstance(me, dict) else None
    try:
        return ZoneInfo(str(name))
    except (KeyError, ValueError, OSError):
        log.warning("The zone of the token's owner is not known here (%s): days are taken as those of UTC.", name)
        return timezone.utc
