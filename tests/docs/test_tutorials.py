"""The tutorials, typed into a shell word for word by somebody who has nothing yet."""

from __future__ import annotations

import contextlib
import fcntl
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
from support.distributions import UV, build, write_constraints
from support.repository import ROOT, keep_for_the_docs
from support.servers.toggl_proxy import proxy_for_toggl
from support.tutorials import Shell, Step, bare_environment, steps

from airflow_provider_toggl.sandbox.server import SandboxProcess

pytestmark = [
    # A machine that does much else takes several minutes for what takes one.
    pytest.mark.timeout(1800),
    pytest.mark.airflow,
    pytest.mark.newest,
    pytest.mark.xdist_group("tutorials"),
]

SANDBOX, AIRFLOW, RECEIVER = 8765, 8080, 8090
BY_ITSELF = "7. Let Airflow run it by itself"


@pytest.fixture(autouse=True)
def its_ports(request: pytest.FixtureRequest) -> Iterator[None]:
    """The ports that the tutorial names, for one test of this machine at a time; the sandbox's usual one is in use."""
    ports = () if request.node.get_closest_marker("soak") is None else (AIRFLOW, RECEIVER)
    with (Path(tempfile.gettempdir()) / "toggl-tutorials.lock").open("w") as lock, socket.socket() as stranger:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # another program has it: as good
            stranger.bind(("127.0.0.1", SANDBOX))
            stranger.listen()
        for port in ports:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)), f"something listens at {port}, which a tutorial uses"
        yield


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of this package."""
    return build(tmp_path_factory.mktemp("wheels"), "wheel")["wheel"].parent


@pytest.fixture
def shell(tmp_path: Path, wheels: Path) -> Iterator[Shell]:
    """A shell where ``pip`` finds this package in its wheel, and others in the versions of the lock."""
    locked = write_constraints(tmp_path)
    # uv takes two seconds where pip takes a minute; where it cannot reach what pip is configured for, pip does it.
    prelude = f"""
export UV_FIND_LINKS={wheels} PIP_FIND_LINKS={wheels} UV_CONSTRAINT={locked} PIP_CONSTRAINT={locked}
pip() {{ "{UV}" pip "$@" --quiet || command pip "$@" --quiet; }}
"""
    with Shell(tmp_path, bare_environment(tmp_path), prelude) as shell:
        yield shell


def type_all(shell: Shell, typed: list[Step]) -> dict[str, str]:
    """Type the steps and return what each section printed."""
    said: dict[str, str] = {}
    for step in typed:
        said[step.heading] = said.get(step.heading, "") + shell.say(step.text)
    return said


def is_drawn(chart: Path) -> bool:
    """Whether a PNG is large and has ten colours at least, none of them almost everywhere."""
    from matplotlib.image import imread

    pixels = imread(chart)
    height, width = pixels.shape[:2]
    colours = {tuple(pixel) for pixel in pixels[::3, ::3, :3].reshape(-1, 3).round(2).tolist()}
    dark = (pixels[..., :3].min(axis=2) < 0.95).mean()
    return bool(width > 1000 and height > 400 and len(colours) >= 10 and 0.02 < dark < 0.9)


def test_the_readme_s_commands_end_with_rows(shell: Shell) -> None:
    (step,) = steps(ROOT / "README.md")
    printed = shell.say(step.text)
    assert "Äpfel GmbH" in printed
    assert "(no client)" in printed
    assert not re.search(r"\b(NaN|None|nan|<NA>)\b", printed)
    assert ":8765" not in shell.say('echo "$TOGGL_SANDBOX_URL"')
    shell.say('kill "$TOGGL_SANDBOX_PID"')
    # A sandbox that cannot start ends the commands with the reason.
    start = step.text[step.text.index("python -m airflow_provider_toggl sandbox") :]
    with pytest.raises(AssertionError, match=r"cannot listen on 127\.0\.0\.1:8765: Address already in use"):
        shell.say(start.replace("--port 0", f"--port {SANDBOX}"))


def test_a_newcomer_ends_with_rows_and_a_chart(shell: Shell, tmp_path: Path) -> None:
    page = steps(ROOT / "docs" / "tutorial-sandbox.md")
    end = [step for step in page if step.heading == "Clean up"]
    said = type_all(shell, [step for step in page if step.heading not in (BY_ITSELF, "Clean up")])
    folder = tmp_path / "toggl-tutorial"
    check_rows(folder / "airflow" / "toggl" / "warehouse.duckdb")
    (promised,) = re.findall(r"^```text\n(.+)\n```$", (ROOT / "docs" / "tutorial-sandbox.md").read_text(), re.MULTILINE)
    assert promised in said["4. Load the workspace"]
    assert "10 rows" in said["5. Look at the rows"]
    assert said["6. Draw the chart"].split() == ["weekly.html", "weekly.png"]
    chart = folder / "airflow" / "toggl" / "reports" / "weekly.png"
    assert is_drawn(chart)
    keep_for_the_docs(chart, "tutorial-chart.png")
    type_all(shell, end)
    assert not folder.exists()


@pytest.mark.soak
def test_what_the_newcomer_has_goes_on_by_itself(shell: Shell, tmp_path: Path) -> None:
    page = steps(ROOT / "docs" / "tutorial-sandbox.md")
    warehouse = tmp_path / "toggl-tutorial" / "airflow" / "toggl" / "warehouse.duckdb"
    type_all(shell, [step for step in page if step.heading < BY_ITSELF])
    before = newest_change(warehouse)
    type_all(shell, [step for step in page if step.heading == BY_ITSELF])
    wait_until(lambda: newest_change(warehouse) > before, timeout=300)
    type_all(shell, [step for step in page if step.heading == "Clean up"])


@pytest.mark.soak
def test_a_workspace_of_one_s_own_is_loaded_drawn_and_followed(shell: Shell, tmp_path: Path) -> None:
    page = steps(ROOT / "docs" / "tutorial-workspace.md")
    token = "5ec2e7" * 5 + "00"
    answers = {"API token": token, "Workspace ID": "", "Public address": "http://127.0.0.1:8090"}
    airflow = tmp_path / "toggl-airflow" / "airflow"
    with SandboxProcess(["--entries", "2000", "--token", token, "--plan", "free"]) as toggl:
        answers["Workspace ID"] = str(toggl.workspace_id)
        with proxy_for_toggl(("127.0.0.1", int(toggl.url.rpartition(":")[2])), tmp_path) as there:
            shell.say("\n".join(f"there_{name}={value}" for name, value in there.items()))
            said = ""
            for step in page:
                if step.heading == "Clean up":
                    break
                if '"Workspace ID: "' in step.text:
                    assert f"{toggl.workspace_id} (" in said
                asked = [answer for question, answer in answers.items() if f'"{question}: "' in step.text]
                said = shell.say(step.text, asked)
                if step.heading.startswith("1."):
                    # From here on Toggl's own address leads to the sandbox.
                    shell.say("\n".join(f"export {name}=$there_{name}" for name in there))
                if "subscriptions list" in step.text:
                    assert re.search(r" yes +yes +airflow ", said)
            assert token not in shell.output
            assert is_drawn(airflow / "toggl" / "reports" / "weekly.png")
            check_rows(airflow / "toggl" / "warehouse.duckdb")
            before = newest_change(airflow / "toggl" / "warehouse.duckdb")
            toggl.mutate(seed=1, n=3, kinds=["create"])
            wait_until(lambda: newest_change(airflow / "toggl" / "warehouse.duckdb") > before, timeout=300)
            waits = [log for log in (airflow / "logs").rglob("*.log") if "holds no worker slot" in log.read_text()]
            assert waits == []
            assert "deleted: True" in type_all(shell, page[page.index(step) :])["Clean up"]
            log = toggl.requests()
        assert log["by_status"].get("402", 0) == 0
        charged = [call["path"] for call in log["calls"] if not call["path"].startswith("/api/v9/me")]
        assert len(charged) <= 30, charged


def check_rows(warehouse: Path) -> None:
    """Check that every entry of the local Toggl is loaded."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        (counted,) = connection.sql("select count(*) from toggl.live_time_entries").fetchall()
    assert counted == (2000,)


def newest_change(warehouse: Path) -> int:
    """Return the number of the latest loaded change; 0 while a task writes."""
    try:
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            ((seq,),) = connection.sql("select max(seq) from toggl.changed_days").fetchall()
    except duckdb.IOException:
        return 0
    return int(seq)


def wait_until(condition: Callable[[], bool], *, timeout: float) -> None:
    """Return when it holds; fail when it does not in so many seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)
