from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from support.repository import ROOT, documented_metrics

from airflow_provider_toggl.core import metrics

EXAMPLES = ROOT / "docs" / "examples"
#: What Prometheus adds of its own.
OWN_LABELS = {"le"}
SUFFIXES = {"counter": {""}, "gauge": {""}, "timer": {"_bucket", "_sum", "_count"}}


def exported(name: str) -> str:
    """Return what statsd_exporter makes of a name: what its mapping says, else underscores for what is no letter."""
    for mapping in mappings():
        if found := re.fullmatch(mapping["match"], name):
            return str(re.sub(r"\$\{(\d)\}", lambda place: found[int(place[1])], mapping["name"]))
    return re.sub(r"\W", "_", name)


def prometheus_names() -> dict[str, metrics.Metric]:
    """Return what statsd_exporter makes of each name, a timer's with what a histogram adds."""
    return {
        f"{exported(f'airflow.{name}')}{suffix}": metric
        for name, metric in metrics.CATALOGUE.items()
        for suffix in SUFFIXES[metric.kind]
    }


def mappings() -> list[dict[str, Any]]:
    return list(yaml.safe_load((EXAMPLES / "statsd_exporter.yml").read_text())["mappings"])


def test_the_reference_has_each_metric_with_its_kind_and_tags() -> None:
    assert {name: (row.kind, row.tags) for name, row in documented_metrics().items()} == {
        name: (metric.kind, frozenset(metric.tags)) for name, metric in metrics.CATALOGUE.items()
    }


def test_the_guide_names_only_existing_metrics() -> None:
    named = set(re.findall(r"`(toggl\.\w+\.\w+)`", (ROOT / "docs" / "metrics.md").read_text()))
    assert len(named) > 4
    assert named <= metrics.CATALOGUE.keys()


def dashboard() -> dict[str, Any]:
    return dict(json.loads((EXAMPLES / "grafana.json").read_text()))


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((EXAMPLES / "prometheus_rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    yield from (rule["expr"] for rule in rules())


@pytest.mark.parametrize("expression", list(expressions()))
def test_expressions_use_existing_metrics_and_labels(expression: str) -> None:
    known = prometheus_names()
    names = re.findall(r"\bairflow_\w+", expression)
    assert names
    assert set(names) <= known.keys()
    for name, labels in re.findall(r"(\bairflow_\w+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)[=!]", labels)) <= set(known[name].tags)
    # Of two metrics in one expression both must have a label by which they are added up.
    grouped = grouped_by(expression)
    assert grouped - OWN_LABELS <= set.intersection(*(set(known[name].tags) for name in names))
    assert ("le" in grouped) == ("histogram_quantile" in expression) == any(name.endswith("_bucket") for name in names)


def grouped_by(expression: str) -> set[str]:
    return {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}


@pytest.mark.parametrize(
    "expression", [rule["expr"] for rule in rules() if re.search(r"increase\(.*> \d+$", rule["expr"])]
)
def test_an_alert_sees_the_first_event_of_a_counter(expression: str) -> None:
    # A counter that comes with its first event has grown by nothing.
    ((series, window),) = set(re.findall(r"increase\((\w+(?:\{[^}]*\})?)\[(\w+)\]\)", expression))
    assert f"({series} unless {series} offset {window}) or increase({series}[{window}])" in expression


def test_expressions_use_documented_values_of_labels() -> None:
    for expression in expressions():
        for name, labels in re.findall(r"(\bairflow_\w+)\{([^}]*)\}", expression):
            for tag, values in re.findall(r'(\w+)[=!]~?"([^"]*)"', labels):
                said = prometheus_names()[name].tags[tag]
                assert [value for value in values.split("|") if f"`{value}`" not in said] == []


def test_every_metric_is_on_the_dashboard() -> None:
    drawn = " ".join(target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ()))
    known = prometheus_names()
    seen = {known[name].name for name in re.findall(r"\bairflow_\w+", drawn)}
    assert metrics.CATALOGUE.keys() - seen == set()


def test_panels_have_their_own_position_and_id() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_each_alert_has_a_unique_name_a_severity_and_a_summary() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) > 10
    assert {rule["labels"]["severity"] for rule in found} <= {"info", "warning", "critical"}
    assert all(rule["annotations"]["summary"] for rule in found)
    # What a text says of labels must be there when it is filled in.
    for rule in found:
        used = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        metric = prometheus_names()[re.findall(r"\bairflow_\w+", rule["expr"])[0]]
        is_sum = re.search(r"\b(sum|max|min)\b", rule["expr"]) is not None
        assert used <= (grouped_by(rule["expr"]) if is_sum else set(metric.tags))


def test_legends_use_labels_of_their_expression() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) <= grouped_by(target["expr"])


def test_the_exporter_s_mapping_matches_timers_only() -> None:
    (mapping,) = mappings()
    matched = {name for name in metrics.CATALOGUE if re.fullmatch(mapping["match"], f"airflow.{name}")}
    assert matched == {name for name, metric in metrics.CATALOGUE.items() if metric.kind == "timer"}
    assert len(prometheus_names()) == sum(len(SUFFIXES[metric.kind]) for metric in metrics.CATALOGUE.values())
    buckets = mapping["histogram_options"]["buckets"]
    assert buckets == sorted(set(buckets))
