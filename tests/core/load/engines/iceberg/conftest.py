from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.toggl_rows import entries


@pytest.fixture
def opened(iceberg_folder: Path) -> Iterator[Any]:
    """A watched catalog, its store, and its warehouse with a hundred entries of one load."""
    from support.iceberg_catalogs import progress, watched

    catalog, store, target = watched(iceberg_folder)
    with target:
        target.load([entries(*range(1, 101))], progress(1))
        yield catalog, store, target


@pytest.fixture
def opened_with_pages(iceberg_folder: Path) -> Iterator[Any]:
    """The same with a hundred entries of five loads."""
    from support.iceberg_catalogs import progress, watched

    catalog, store, target = watched(iceberg_folder)
    with target:
        for page in range(5):
            target.load([entries(*range(page * 20, page * 20 + 20))], progress(page))
        yield catalog, store, target
