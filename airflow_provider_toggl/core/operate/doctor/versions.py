"""Check of the installed versions against the requirements of this package."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from airflow_provider_toggl.core.operate.findings import Finding, ok
from airflow_provider_toggl.core.operate.problems import problem

PACKAGE = "airflow-provider-toggl"
NEWEST_AIRFLOW = "3.3"
"""The newest minor version of Airflow that this package was tested with."""
_SHOWN = ("apache-airflow", "duckdb")
"""Distributions whose versions are shown if nothing is wrong."""


@dataclass(frozen=True)
class Versions:
    """Installed versions and requirements.

    :param python_needed: as in ``Requires-Python``.
    :param needed: requirements of this package; those of extras have a marker.
    :param installed: version by distribution.
    """

    package: str
    python: str
    python_needed: str
    needed: tuple[str, ...]
    installed: Mapping[str, str]


def find_versions() -> Versions:
    """Return the versions installed in the environment of this process."""
    needed = tuple(metadata.requires(PACKAGE) or ())
    names = {Requirement(line).name for line in needed} | {"apache-airflow-core"}
    installed = {name: version for name in names if (version := _find_version(name)) is not None}
    about = metadata.metadata(PACKAGE)
    return Versions(
        package=metadata.version(PACKAGE),
        python=platform.python_version(),
        python_needed=about["Requires-Python"] or "",
        needed=needed,
        installed=installed,
    )


def check_versions(versions: Versions) -> list[Finding]:
    """Return a finding for each version that does not fit. Packages of extras may be missing."""
    findings = []
    if not SpecifierSet(versions.python_needed).contains(versions.python, prereleases=True):
        findings.append(_unfit("Python", versions.python, versions.python_needed, versions.package))
    for requirement in map(Requirement, versions.needed):
        marker = requirement.marker
        if marker is not None and "extra" not in str(marker) and not marker.evaluate():
            continue  # Requirements of every extra are checked, for the packages that are installed.
        version = versions.installed.get(requirement.name)
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            findings.append(_unfit(requirement.name, version, str(requirement.specifier), versions.package))
        elif version is None and marker is None:
            findings.append(_unfit(requirement.name, "(not installed)", str(requirement.specifier), versions.package))
        if requirement.name == "apache-airflow":
            # The version of the metapackage may differ from that of the code that runs.
            core = versions.installed.get("apache-airflow-core")
            if core is not None and not requirement.specifier.contains(core, prereleases=True):
                findings.append(_unfit("apache-airflow-core", core, str(requirement.specifier), versions.package))
    if findings:
        return findings
    airflow = versions.installed.get("apache-airflow", "0")
    if Version(airflow).release[:2] > Version(NEWEST_AIRFLOW).release[:2]:
        text = f"Airflow {airflow} is newer than the newest tested version ({NEWEST_AIRFLOW})."
        return [problem("untested_version", text)]
    others = ", ".join(f"{name} {versions.installed[name]}" for name in _SHOWN if name in versions.installed)
    return [ok("versions", f"{PACKAGE} {versions.package} with Python {versions.python}, {others}.")]


def _unfit(name: str, version: str, needed: str, package: str) -> Finding:
    return problem("unfit_version", f"{name} {version} is installed; {PACKAGE} {package} needs {needed or 'it'}.")


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
