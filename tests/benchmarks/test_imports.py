from __future__ import annotations

import pytest
from support.repository import load_benchmark

imports = load_benchmark("imports")


def test_every_folder_that_a_dag_imports_from_is_measured() -> None:
    found = {name.split(".")[1] for name in imports.find_modules()}
    assert {"hooks", "transfers"} <= found


@pytest.mark.parametrize(("name", "heavy"), [("pandas", True), ("pandas.core", True), ("pandas_gbq", False)])
def test_parts_of_a_heavy_library_are_heavy(name: str, heavy: bool) -> None:
    assert imports._is_heavy(name) is heavy
