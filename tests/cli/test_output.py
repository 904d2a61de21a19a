from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
from airflow_provider_toggl.cli.output import others_to_stderr
handler = sys.stdout
print("before")
try:
    with others_to_stderr():
        print("printed")
        handler.write("logged\\n")
        os.write(1, b"written\\n")
        raise LookupError
except LookupError:
    print("after")
"""


def test_only_what_was_asked_for_is_on_standard_output() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "before\nafter\n"
    assert sorted(done.stderr.split()) == ["logged", "printed", "written"]
