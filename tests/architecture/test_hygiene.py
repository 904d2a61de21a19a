from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support.package_sources import ROOT

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
LOCAL = re.compile(r"(?<![\w.])/(?:work|root|home|Users|opt/pypi)/\w")


@cache
def text_files() -> tuple[Path, ...]:
    """Return the repository's text files, those not yet added too, without what git ignores."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git work tree")
    paths = {ROOT / name for name in done.stdout.split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file() and b"\0" not in path.read_bytes()))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_names_no_index_and_hashes_every_distribution(lock: Path) -> None:
    text = lock.read_text()
    assert not re.findall(r"--(?:extra-)?index-url|--find-links|--trusted-host|\w+://", text)
    entries = [entry for entry in re.split(r"\n(?=[a-z0-9])", text) if not entry.startswith("#")]
    assert len(entries) >= 1
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_every_lock_file_has_the_file_that_it_is_made_from() -> None:
    assert [lock.name for lock in LOCKS if not lock.with_suffix(".in").exists()] == []


def test_no_file_names_a_directory_of_somebody_s_machine() -> None:
    found = {}
    for path in text_files():
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if LOCAL.search(line):
                found[f"{path.relative_to(ROOT)}:{number}"] = line.strip()
    assert found == {}


def test_tests_have_no_packages() -> None:
    assert [path for path in text_files() if path.name == "__init__.py" and path.is_relative_to(ROOT / "tests")] == []
