from __future__ import annotations

import msgspec
import pytest

from airflow_provider_toggl.core.load.decode.event_actors import find_actor

NONE = msgspec.Raw()


@pytest.mark.parametrize(
    ("metadata", "creator_id", "actor"),
    [
        ('{"event_user_id":"11","model":"time_entry"}', "12", 11),
        ('{"event_user_id":11}', "12", 11),
        ('{"model":"time_entry"}', "12", 12),
        ("{}", '"12"', 12),
        ('{"event_user_id":"nobody"}', "12", 12),
        ('{"event_user_id":true}', "null", None),
        ('{"event_user_id":"0"}', "-1", None),
        ('{"event_user_id":"99999999999999999999"}', "9223372036854775808", None),
        ('{"event_user_id":"٣"}', "1.5", None),
        ("[1]", "12", 12),
        ('{"event_user_id":1e999}', "1e999", None),
        ('"\\ud800"', '"\\ud800"', None),
    ],
)
def test_the_metadata_take_precedence_over_the_creator(metadata: str, creator_id: str, actor: int | None) -> None:
    assert find_actor(msgspec.Raw(metadata.encode()), msgspec.Raw(creator_id.encode())) == actor


def test_an_event_may_name_nobody() -> None:
    assert find_actor(NONE, NONE) is None
    assert find_actor(NONE, msgspec.Raw(b"7")) == 7
