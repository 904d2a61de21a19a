"""Every option of [toggl] and every field of a Toggl connection, as the provider's metadata lists them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from support.connections import Connections
from support.repository import package_modules

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.get_provider_info import get_provider_info
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.connections import get_toggl_fields

pytestmark = pytest.mark.airflow

OPTIONS: dict[str, dict[str, Any]] = get_provider_info()["config"]["toggl"]["options"]
FORM_FIELDS: dict[str, dict[str, Any]] = get_provider_info()["connection-types"][0]["conn-fields"]

#: Values that no option or field of a type can have, by the type in the metadata.
UNREADABLE = {
    "integer": ["abc", "-1", "nan", "true", "5 minutes"],
    "number": ["abc", "-1", "inf", "true", "1,5"],
    "boolean": ["maybe", "2", "none"],
    "string": [],
}
BLANK = ["", " ", "\t\n"]


def read(name: str) -> Any:
    return getattr(settings, name)()


def field(connections: Connections, name: str, value: Any) -> Any:
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra={name: value})
    return getattr(get_toggl_fields("toggl_default"), name)


def type_of(form_field: dict[str, Any]) -> str:
    return next(kind for kind in form_field["schema"]["type"] if kind != "null")


# -- options -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["state_dir", "warehouse_path"])
@pytest.mark.parametrize("value", ["toggl", "./toggl", ":memory:", "none"])
def test_a_path_must_be_absolute(connections: Connections, name: str, value: str) -> None:
    connections.set_option(name, value)
    with pytest.raises(ConfigurationError, match=rf"\[toggl\] {name} "):
        read(name)


def test_ids_of_connections_may_span_several_lines(connections: Connections) -> None:
    connections.set_option("receiver_connections", "one,\n    two\n    three ,, one")
    assert settings.receiver_connections() == ("one", "two", "three")


@pytest.mark.parametrize("value", ["a b", "a;b", '"a","b"', "*"])
def test_an_invalid_connection_id_is_refused(connections: Connections, value: str) -> None:
    connections.set_option("receiver_connections", value)
    with pytest.raises(ConfigurationError, match=r"\[toggl\] receiver_connections .* IDs of connections"):
        settings.receiver_connections()


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("blank", [None, *BLANK])
def test_a_missing_or_blank_option_has_its_documented_default(
    connections: Connections, name: str, blank: str | None
) -> None:
    connections.set_option("state_dir", "")
    if blank is not None:
        connections.set_option(name, blank)
    default = OPTIONS[name]["default"].replace("{AIRFLOW_HOME}", settings.airflow_home())
    kind = OPTIONS[name]["type"]
    expected: Any = {
        "integer": lambda: float(default),
        "boolean": lambda: default == "True",
        "string": lambda: Path(default) if default else (),
    }[kind]()
    assert read(name) == expected


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, option in OPTIONS.items() for value in UNREADABLE[option["type"]]]
)
def test_the_error_for_an_invalid_option_has_its_name_value_and_limits(
    connections: Connections, name: str, value: str
) -> None:
    connections.set_option(name, value)
    with pytest.raises(ConfigurationError) as caught:
        read(name)
    assert f"[toggl] {name} is {value!r}; it must be " in str(caught.value)


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option["type"] == "integer"])
def test_a_number_may_have_spaces_and_a_fraction(connections: Connections, name: str) -> None:
    connections.set_option(name, " 12.5\n")
    assert read(name) == 12.5


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option["type"] == "boolean"])
@pytest.mark.parametrize(("value", "expected"), [(" TRUE ", True), ("off", False), ("1", True), ("No", False)])
def test_a_flag_has_several_spellings(connections: Connections, name: str, value: str, expected: bool) -> None:
    connections.set_option(name, value)
    assert read(name) is expected


@pytest.mark.parametrize("name", ["state_dir", "warehouse_path"])
def test_a_path_may_start_with_the_home_folder_or_a_variable(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    connections.set_option(name, " ~/toggl/x ")
    assert read(name) == tmp_path / "toggl" / "x"
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    connections.set_option(name, "$SOME_FOLDER/y")
    assert read(name) == tmp_path / "y"


# -- fields of a connection --------------------------------------------------------------------------------------------


def test_every_field_of_the_form_is_read_here() -> None:
    assert set(settings.FIELDS) == {*FORM_FIELDS, "webhook_validation"}


@pytest.mark.parametrize("name", settings.FIELDS)
@pytest.mark.parametrize("blank", [None, *BLANK])
def test_a_blank_field_has_the_default_of_the_form(connections: Connections, name: str, blank: str | None) -> None:
    if name not in FORM_FIELDS:
        expected: Any = "synchronous"
    elif "default" in FORM_FIELDS[name]["schema"]:
        expected = FORM_FIELDS[name]["schema"]["default"]
    else:
        expected = None if type_of(FORM_FIELDS[name]) == "integer" else ""
    assert field(connections, name, blank) == expected


BAD_FIELDS = [
    (name, value) for name, one in FORM_FIELDS.items() for value in [*UNREADABLE[type_of(one)], [1], {"a": 1}]
] + [("webhook_validation", "sometimes"), ("workspace_id", 0), ("workspace_id", 2**63), ("workspace_id", 1.5)]


@pytest.mark.parametrize(("name", "value"), BAD_FIELDS)
def test_the_error_for_an_invalid_field_has_its_name_value_and_limits(
    connections: Connections, name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        field(connections, name, value)
    shown = "***" if "secret" in name else repr(value)
    assert f"{name} is {shown}; it must be " in str(caught.value)
    assert "'toggl_default'" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [name for name, one in FORM_FIELDS.items() if type_of(one) == "string" and "enum" not in one["schema"]],
)
def test_text_is_stripped(connections: Connections, name: str) -> None:
    assert field(connections, name, "\t some_text\r\n") == "some_text"


@pytest.mark.parametrize("value", [7, 7.0, "7", " 7\n", "+7"])
def test_an_id_may_be_text_or_a_number(connections: Connections, value: Any) -> None:
    assert field(connections, "workspace_id", value) == 7


def test_all_invalid_fields_are_named_at_once(connections: Connections) -> None:
    extra = {"quota_reserve": "few", "requests_per_second": "fast", "workspace_id": 1}
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra=extra)
    fields = get_toggl_fields("toggl_default")
    assert fields.workspace_id == 1
    with pytest.raises(ConfigurationError, match=r"quota_reserve is 'few'.*requests_per_second is 'fast'"):
        fields.read_all()


# -- one place ---------------------------------------------------------------------------------------------------------


def reads_of_the_section(tree: ast.AST) -> list[int]:
    """Return the lines that call ``conf.get…`` for the section of this package."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "conf"
        and node.args
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value != "toggl")
    ]


def test_no_other_module_reads_an_option() -> None:
    found = {module.name: reads_of_the_section(module.tree) for module in package_modules()}
    assert {name for name, lines in found.items() if lines} == {"airflow_provider_toggl.hooks.settings"}


def test_no_other_module_looks_up_a_connection() -> None:
    callers = {
        module.name
        for module in package_modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "get_connection" and isinstance(node.ctx, ast.Load)
    }
    # The warehouse gives a hook the connection that was looked up before.
    assert callers == {"airflow_provider_toggl.hooks.connections", "airflow_provider_toggl.hooks.warehouse"}
