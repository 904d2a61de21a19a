from __future__ import annotations

from support.repository import PACKAGE, ROOT

from airflow_provider_toggl.core.operate.doctor.context import CHECKS
from airflow_provider_toggl.core.operate.findings import CheckStatus
from airflow_provider_toggl.core.operate.health.diagnosis import PARTS
from airflow_provider_toggl.core.operate.problems import PROBLEMS, problem


def test_every_problem_belongs_to_a_check_has_a_meaning_and_a_fix_and_is_reported_somewhere() -> None:
    folder = ROOT / PACKAGE
    files = [*(folder / "core/operate").rglob("*.py"), folder / "cli/doctor_checks.py"]
    code = "".join(path.read_text() for path in files if path.name != "problems.py")
    names = [one.name for problems in PROBLEMS.values() for one in problems]
    assert len(set(names)) == len(names)
    assert set(PROBLEMS) <= {*CHECKS, *PARTS}
    for one in (one for problems in PROBLEMS.values() for one in problems):
        assert one.status in (CheckStatus.FAULT, CheckStatus.WARNING, CheckStatus.UNKNOWN)
        assert one.meaning.endswith(".")
        assert one.fix.endswith(".")
        assert f'"{one.name}"' in code, one.name


def test_a_finding_of_a_problem_has_its_check_and_status() -> None:
    finding = problem("disk_low", "300 MiB left.", "300 MiB")
    assert (finding.check, finding.status, finding.label) == ("store", CheckStatus.WARNING, "300 MiB")
    assert finding.problem in PROBLEMS["store"]
