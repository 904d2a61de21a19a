from __future__ import annotations

import gc

import pytest

from airflow_provider_toggl.core.garbage import paused_garbage_collection


def test_collection_is_paused_until_the_block_ends():
    with paused_garbage_collection():
        assert not gc.isenabled()
        with paused_garbage_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="bad page"), paused_garbage_collection():
        raise ValueError("bad page")
    assert gc.isenabled()


def test_disabled_collection_stays_disabled():
    gc.disable()
    try:
        with paused_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
