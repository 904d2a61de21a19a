from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from support.repository import ROOT, load_benchmark

receiver = load_benchmark("receiver")


@pytest.mark.soak
def test_every_answered_id_is_stored() -> None:
    run, _ = receiver.measure_standalone({}, seconds=0.5, turns=1)
    looked_up = run["looked_up"]
    assert looked_up["answered_2xx"] == looked_up["stored_once"] > 100
    assert looked_up["missing"] == looked_up["stored_again"] == 0
    for name in ("verifying", "durable"):
        assert set(run[name]["statuses"]) == {"200"}
        assert run[name]["per_second"] > 0


def test_missing_and_repeated_ids_are_counted() -> None:
    assert receiver.look_up([1, 2, 3, 4], Counter({1: 1, 2: 2, 4: 1, 9: 1})) == {
        "answered_2xx": 4,
        "stored_once": 2,
        "missing": 1,
        "stored_again": 1,
    }


def test_the_airflow_of_the_peer_needs_no_provider_of_ours() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); sys.modules['airflow_provider_toggl'] = None; "
        "import support.airflow_home"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
