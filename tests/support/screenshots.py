"""Pictures of the documentation, which are what tests saw."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from support.package_sources import ROOT


def keep_for_the_docs(picture: Path, name: str) -> None:
    """Put a picture that a test made and checked into the documentation, where that was asked for.

    ``make screenshots`` asks for it; in all other runs the documentation stays as it is.
    """
    if os.environ.get("KEEP_SCREENSHOTS"):
        shutil.copyfile(picture, ROOT / "docs" / "images" / name)
