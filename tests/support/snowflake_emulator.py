"""A server that stands for Snowflake in tests: fakesnow, with what this package needs and fakesnow lacks.

A program for an environment of its own, ``python snowflake_emulator.py PORT``: fakesnow and the newest Airflow ask for
different versions of the same packages. It imports nothing of this repository.

fakesnow runs Snowflake's SQL on DuckDB. Added here:

- a script (``begin … end``) of one statement a line: its statements run one after another, scripts wait for each other;
- files of a stage in a FROM clause, and ``$1:name`` for their columns;
- uploads of several files by one PUT, and ``overwrite``;
- formats of TO_CHAR, and instants that are null;
- errors of DuckDB as errors of Snowflake, which the connector does not try again;
- ``POST /emulator/faults`` with ``[{"pattern", "code", "message"}]``: statements that match fail, and logins do with
  the pattern ``login``;
- ``GET /emulator/statements``: all statements so far.
"""

# This file runs where neither Airflow nor this package is installed.
from __future__ import annotations

import re
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import duckdb
import fakesnow.arrow
import fakesnow.server
import pyarrow as pa
import uvicorn
from fakesnow.cursor import FakeSnowflakeCursor
from fakesnow.instance import FakeSnow
from fakesnow.transforms import stage
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BEGIN = "begin\nbegin transaction;\n"
STAGED = re.compile(r"@(\w+)/(\w+)\.parquet")
FIELD = re.compile(r"\$1:(\w+)")
PUT = re.compile(r"put '", re.IGNORECASE)
FORMATS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH24": "%H", "MI": "%M", "SS": "%S", '"T"': "T", '"Z"': "Z"}

faults: list[dict[str, Any]] = []
statements: list[str] = []
one_script = threading.Lock()
execute_one = FakeSnowflakeCursor.execute
transform_one = FakeSnowflakeCursor._transform
parse_server = fakesnow.server.parse_one
log_in = fakesnow.server.login_request
struct_of = fakesnow.arrow.timestamp_to_sf_struct


def execute(cursor: FakeSnowflakeCursor, command: str, *args: Any, **kwargs: Any) -> FakeSnowflakeCursor:
    statements.append(command)
    if command.startswith(BEGIN):
        with one_script:
            outcome = run_script(cursor, command)
        return execute_one(cursor, "select '" + outcome.replace("'", "''") + '\' as "anonymous block"', server=True)
    fail_as_asked(command)
    # DuckDB refuses what another session creates at the same time; Snowflake waits.
    with one_script if command.lstrip().startswith("create") else nullcontext():
        return execute_statement(cursor, command, *args, **kwargs)


def execute_statement(cursor: FakeSnowflakeCursor, command: str, *args: Any, **kwargs: Any) -> FakeSnowflakeCursor:
    for stage_name, file in set(STAGED.findall(command)):
        connection = cursor._conn
        folder = stage.internal_dir(f"{connection.database}.{connection.schema}.{stage_name.upper()}")
        source = f"staged_{file}"
        cursor._duck_conn.execute(
            f"create or replace temporary table {source} as select * from read_parquet('{folder}/{file}.parquet')"
        )
    try:
        return execute_one(cursor, STAGED.sub(r"staged_\2", FIELD.sub(r'"\1"', command)), *args, **kwargs)
    except ProgrammingError as error:
        if "Binder Error" in str(error):
            raise ProgrammingError(msg=error.raw_msg, errno=904, sqlstate="42000") from None
        raise
    except duckdb.Error as error:
        raise ProgrammingError(msg=str(error).split("\n")[0], errno=100038, sqlstate="22018") from None


def run_script(cursor: FakeSnowflakeCursor, script: str) -> str:
    lines = script.removeprefix(BEGIN).splitlines()
    changes, after = lines[0], lines[1:]
    assert after[0] == "if (sqlrowcount = 0) then rollback; return 'conflict'; end if;"
    try:
        execute_statement(cursor, "begin transaction", server=True)
        execute_statement(cursor, changes.rstrip(";"), server=True)
        if cursor.rowcount == 0:
            execute_statement(cursor, "rollback", server=True)
            return "conflict"
        for line in after[1:]:
            if line.startswith("return"):
                return line.removeprefix("return '").removesuffix("';")
            fail_as_asked(line)
            execute_statement(cursor, line.rstrip(";"), server=True)
    except ProgrammingError as error:
        execute_statement(cursor, "rollback", server=True)
        return f"failed {error.errno} {error.raw_msg}"
    return ""


def transform(cursor: FakeSnowflakeCursor, expression: Any, params: Any) -> Any:
    transformed = transform_one(cursor, expression.transform(format_text), params)
    # They would go into a database of their own, which DuckDB refuses in a transaction that writes another one.
    for unwanted in ("table_comment", "text_lengths"):
        transformed.args.pop(unwanted, None)
    return transformed


def format_text(node: Any) -> Any:
    if isinstance(node, exp.ToChar) and node.args.get("format"):
        form = node.args["format"].name
        for ours, theirs in FORMATS.items():
            form = form.replace(ours, theirs)
        return exp.Anonymous(this="strftime", expressions=[node.this, exp.Literal.string(form)])
    return node


def to_struct(instants: Any) -> Any:
    array = instants.combine_chunks() if isinstance(instants, pa.ChunkedArray) else instants
    known = struct_of(array.fill_null(0))
    return pa.StructArray.from_arrays(known.flatten(), fields=list(known.type), mask=array.is_null())


def parse(sql: str) -> Any:
    if sql.startswith(BEGIN):
        return parse_server("select 'a script'")
    return parse_server(STAGED.sub("staged", FIELD.sub(r'"\1"', sql)))


def fail_as_asked(text: str) -> None:
    for fault in faults:
        if re.search(fault["pattern"], text):
            raise ProgrammingError(msg=fault["message"], errno=fault["code"], sqlstate="00000")


async def login(request: Request) -> JSONResponse:
    for fault in faults:
        if fault["pattern"] == "login":
            answer = {"data": {}, "code": str(fault["code"]), "message": fault["message"], "success": False}
            return JSONResponse(answer)
    return await log_in(request)


async def set_faults(request: Request) -> JSONResponse:
    faults[:] = await request.json()
    return JSONResponse({})


async def list_statements(request: Request) -> JSONResponse:
    return JSONResponse(statements)


def local_stage(request: Request, expression: Any, data: dict[str, Any]) -> dict[str, Any]:
    data["overwrite"] = True
    info: dict[str, Any] = data["stageInfo"]
    Path(info["location"]).mkdir(parents=True, exist_ok=True)
    return info


def main(port: int) -> None:
    # A connection that names a schema does not create it.
    fakesnow.server.shared_fs = FakeSnow(create_schema_on_connect=False)
    FakeSnowflakeCursor.execute = execute
    FakeSnowflakeCursor._transform = transform
    fakesnow.server.parse_one = parse
    fakesnow.arrow.timestamp_to_sf_struct = to_struct
    fakesnow.server.gcs_stage_info = local_stage
    app = fakesnow.server.app
    app.router.routes[:] = [route for route in app.router.routes if route.path != "/session/v1/login-request"]
    app.router.routes += [
        Route("/session/v1/login-request", login, methods=["POST"]),
        Route("/emulator/faults", set_faults, methods=["POST"]),
        Route("/emulator/statements", list_statements, methods=["GET"]),
    ]
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
