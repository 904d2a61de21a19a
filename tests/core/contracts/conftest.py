from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from support.servers.postgres import PostgresServer

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def make_database(postgres: PostgresServer) -> Callable[..., tuple[str, str]]:
    """What creates a PostgreSQL database, with options, and returns its name and its DSN."""

    def make(options: str = "") -> tuple[str, str]:
        name = f"contract_{next(numbers)}"
        postgres.execute(f"create database {name} {options}")
        return name, postgres.dsn.replace("dbname=postgres", f"dbname={name}")

    return make
