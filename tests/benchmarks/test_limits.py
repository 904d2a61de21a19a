from __future__ import annotations

import json

import pytest
from support.repository import PROGRAMS, load_benchmark

limits = load_benchmark("harness/limits")


@pytest.mark.parametrize(
    ("bound", "ok"),
    [({"at_least": 5}, True), ({"at_least": 5.1}, False), ({"at_most": 5}, True), ({"at_most": 4.9}, False)],
)
def test_a_limit_is_met_or_missed_and_the_exit_status_says_so(
    bound: dict[str, float], ok: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    status = limits.report({"benchmark": "b"}, [limits.Limit("rows per second", 5, **bound)])
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "benchmark": "b",
        "limits": [{"name": "rows per second", "measured": 5, **bound, "ok": ok}],
        "ok": ok,
    }
    assert status == (0 if ok else 1)


def test_one_missed_limit_of_several_fails_the_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = limits.Limit("a", 1, at_least=0), limits.Limit("b", 1, at_most=0)
    assert limits.report({}, [good, bad]) == 1


@pytest.mark.parametrize("program", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
def test_make_bench_runs_only_programs_that_print_ok_and_exit_with_a_status(program) -> None:
    text = program.read_text()
    assert "sys.exit(main())" in text, "benchmarks/*.py are programs; what they share is in benchmarks/harness"
    assert '"ok"' in text or "return report(" in text
