from __future__ import annotations

import gc

import pytest

from airflow_provider_toggl.core.garbage import paused_garbage_collection


def test_collections_wait_until_the_block_ends_however_it_ends():
    with paused_garbage_collection():
        assert not gc.isenabled()
        with paused_garbage_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="bad page"), paused_garbage_collection():
        raise ValueError("bad page")
    assert gc.isenabled()


def test_who_has_switched_collections_off_finds_them_off():
    gc.disable()
    try:
        with paused_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
