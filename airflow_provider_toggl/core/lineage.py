"""Names of data sets for lineage, and the URIs that stand for them.

The naming is that of OpenLineage: a namespace says where the data are, and a name says which they are.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

TOGGL_SCHEME = "toggl"
TABLE_SCHEME = "toggl-warehouse"
"""Scheme of the URIs that stand for tables of a warehouse in Airflow's hook lineage, whatever its engine is."""


class DatasetName(NamedTuple):
    """The name of a data set in OpenLineage.

    :param namespace: where it is, for example ``postgres://db.example.com:5432``.
    :param name: which it is there, for example ``analytics.toggl.time_entries``.
    """

    namespace: str
    name: str


def name_stream(workspace_id: int, stream: str) -> DatasetName:
    """Return the name of a stream of a workspace; joined by a slash, it is the URI of the stream's asset."""
    return DatasetName(f"{TOGGL_SCHEME}://{workspace_id}", stream)


def build_table_uri(dataset: DatasetName) -> str:
    """Return the URI of a table for Airflow's hook lineage, which takes URIs only."""
    return f"{TABLE_SCHEME}://{quote(dataset.namespace, safe='')}/{quote(dataset.name, safe='')}"


def parse_uri(uri: str) -> DatasetName:
    """Return the name of the data set that the URI of an asset of this package stands for.

    :param uri: ``toggl://{workspace_id}/{stream}``, a URI of ``toggl_events``, which stands for the workspace's events,
        or one of :func:`build_table_uri`.
    """
    parts = urlsplit(uri)
    path = parts.path.strip("/")
    if parts.scheme == TABLE_SCHEME:
        return DatasetName(unquote(parts.netloc), unquote(path))
    return DatasetName(f"{TOGGL_SCHEME}://{parts.netloc}", path.partition("/")[0])
