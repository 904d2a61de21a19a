"""Wheel and sdist, and environments that have only the requirements of a distribution."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.repository import ROOT

UV = ROOT / ".venv-uv" / "bin" / "uv"


def build(folder: Path, *kinds: str, source: Path = ROOT) -> dict[str, Path]:
    """Build ``wheel``, ``sdist`` or both into a folder, and return them by kind."""
    targets = [argument for kind in kinds for argument in ("-t", kind)]
    command = [sys.executable, "-m", "hatchling", "build", *targets, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    suffixes = {"wheel": "*.whl", "sdist": "*.tar.gz"}
    return {kind: next(folder.glob(suffixes[kind])) for kind in kinds}


def write_constraints(folder: Path, lock: str = "airflow-newest") -> Path:
    """Write the versions of a lock, without hashes, as a file of constraints."""
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    file = folder / "constraints.txt"
    file.write_text("\n".join(line.removesuffix(" \\") for line in lines if "==" in line and line[0].isalnum()))
    return file


def make_environment(folder: Path, *requirements: str, constraints: Path, python: str = sys.executable) -> Path:
    """Return the Python of a new environment with these requirements and their dependencies."""
    subprocess.run([UV, "venv", "--quiet", "--python", python, folder], check=True, capture_output=True)
    install = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "-c", constraints, *requirements]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "bin" / "python"
