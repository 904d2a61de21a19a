"""Tests of the script that makes virtual environments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.repository import ROOT


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_symbolic_link_is_refused_and_the_environment_that_it_points_to_is_kept(tmp_path: Path, ending: str) -> None:
    shared, link = tmp_path / "shared", tmp_path / "link"
    shared.mkdir()
    (shared / "installed").touch()
    link.symlink_to(shared)
    made = subprocess.run(
        [ROOT / "scripts" / "make-venv.sh", sys.executable, f"{link}{ending}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stdout) == (1, "")
    assert "is a symbolic link" in made.stderr
    assert (shared / "installed").exists()
