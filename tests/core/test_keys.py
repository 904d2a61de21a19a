from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.keys import quote_key


@given(st.text(), st.text())
def test_ids_with_slashes_are_one_part_of_a_name_and_stay_different(one: str, other: str) -> None:
    assert "/" not in quote_key(one)
    assert (quote_key(one) == quote_key(other)) == (one == other)
