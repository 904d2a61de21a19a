from __future__ import annotations

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from support.repository import ROOT

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


def test_no_message_puts_a_number_before_a_noun_that_is_always_plural() -> None:
    """Numbers with their nouns come from ``plural``; "3 of 4 requests" may be written out."""
    nouns = "entries deliveries rows requests events pages days records tasks filters subscriptions workspaces users"
    nouns += " triggers watchers connections warehouses consumers streams sensors hosts attempts retries"
    fixed = re.compile(rf"(?<! of )#(?= (?:{'|'.join(nouns.split())})\b)")
    found = []
    for path in sorted((ROOT / "airflow_provider_toggl").rglob("*.py")):
        if "sandbox" in path.parts and path.name != "cli.py":
            continue  # what Toggl itself answers
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                text = "".join(_literal(part) for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value.replace("#", "").replace("%d", "#")
            else:
                continue
            if fixed.search(text):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert found == [], "\n".join(found)


def _literal(part: ast.expr) -> str:
    """Return a part of an f-string: its text, ``#`` for a value that can be the number 1, nothing for another one."""
    if isinstance(part, ast.Constant):
        return str(part.value).replace("#", "")
    assert isinstance(part, ast.FormattedValue)
    constant = isinstance(part.value, ast.Constant) or (isinstance(part.value, ast.Name) and part.value.id.isupper())
    decimals = part.format_spec is not None and ".1f" in ast.unparse(part.format_spec)
    return "" if constant or decimals else "#"
