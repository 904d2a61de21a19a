from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_toggl.core.operate.findings import (
    CheckStatus,
    Report,
    ok,
    skipped,
    unknown,
    worst_status,
)
from airflow_provider_toggl.core.operate.problems import problem


def test_the_worst_of_several_findings_counts() -> None:
    findings = [ok("token", "a"), skipped("plan", "a"), problem("no_tables", "a"), unknown("clock", "a")]
    assert worst_status(findings) is CheckStatus.WARNING
    assert [one for one in CheckStatus if one.needs_attention] == [CheckStatus.FAULT, CheckStatus.WARNING]


def test_a_finding_is_plain_json_with_the_fix_of_its_problem() -> None:
    assert skipped("plan", "why").as_dict() == {
        "check": "plan",
        "status": "skipped",
        "text": "why",
        "label": None,
        "at": None,
        "problem": None,
        "meaning": None,
        "fix": None,
    }
    finding = problem("wrong_token", "401", "rejected", datetime(2026, 3, 10, tzinfo=timezone.utc))
    known, found = finding.problem, finding.as_dict()
    assert known is not None
    assert (found["problem"], found["meaning"], found["fix"]) == ("wrong_token", known.meaning, known.fix)
    assert (found["label"], found["at"]) == ("rejected", "2026-03-10T00:00:00Z")


def test_only_a_fault_fails_the_doctor() -> None:
    findings = [ok("token", "good"), unknown("clock", "no date"), problem("no_tables", "none")]
    report = Report(findings, 3)
    assert (report.exit_code, report.as_dict()["ok"]) == (0, True)
    counts = report.as_dict()["counts"]
    assert {status: number for status, number in counts.items() if number} == {"ok": 1, "warning": 1, "unknown": 1}
    wrong_token = problem("wrong_token", "401")
    worse = Report([*findings, wrong_token], 1)
    assert (worse.exit_code, worse.as_dict()["ok"]) == (1, False)
    lines = list(worse.lines())
    assert lines[0] == "ok       token      good"
    assert f"Fix: {wrong_token.as_dict()['fix']}" in lines[-2]
    assert lines[-1] == "1 fault, 1 warning, 1 unknown, 1 ok; 1 request sent to Toggl."
