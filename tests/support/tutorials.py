"""The commands of a documentation page, and a shell that runs them."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support.processes import end_session
from support.repository import ROOT

_BLOCK = re.compile(r"^## (?P<heading>[^\n]+)$|^```bash\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_INCLUDE = re.compile(r'^--8<-- "(?P<path>[^":]+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """A block of commands.

    :param heading: the section that it stands in.
    :param text: the commands, files included.
    """

    heading: str
    text: str


def steps(page: Path) -> list[Step]:
    """Return the page's commands in their order: its blocks of language ``bash``."""
    found, heading = [], ""
    for match in _BLOCK.finditer(page.read_text()):
        if match["heading"]:
            heading = match["heading"]
        else:
            text = _INCLUDE.sub(lambda include: (ROOT / include["path"]).read_text().rstrip("\n"), match["text"])
            found.append(Step(heading, text))
    return found


class Shell:
    """A bash that reads commands, and ends at the first one that fails.

    :param folder: the working directory.
    :param env: the whole environment.
    :param prelude: commands to run first.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], prelude: str = "") -> None:
        self.output = ""
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        # Jobs as a terminal has them: each can be interrupted by itself.
        self.say(f"set -emo pipefail\n{prelude}")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *exc: object) -> None:
        end_session([self.process], timeout=5)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def say(self, text: str, answers: Sequence[str] = ()) -> str:
        """Run commands, and return their output.

        :param answers: lines that the commands read.
        :raises AssertionError: a command failed; the message has the whole output.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        end = f"the-end-{secrets.token_hex(8)}"
        # `read` of a command takes the lines after it, as from a terminal.
        self.process.stdin.write("\n".join([text.rstrip("\n"), *answers, f"echo {end}\n"]).encode())
        self.process.stdin.flush()
        said = ""
        for line in self.process.stdout:
            if line.decode().strip() == end:
                self.output += said
                return said
            said += line.decode()
        raise AssertionError(f"{text}\nfailed:\n{self.output}{said}")


def bare_environment(folder: Path) -> dict[str, str]:
    """Return an empty environment that keeps this machine's settings for package indexes."""
    kept = ("PIP_", "UV_", "SSL_", "REQUESTS_CA", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "LANG")
    env = {name: value for name, value in os.environ.items() if name.upper().startswith(kept)}
    env.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    return env | {"HOME": str(folder), "PATH": f"{sys.base_prefix}/bin:/usr/local/bin:/usr/bin:/bin"}
