"""Attributes that are there and of their types come back; others are told by name."""

import pytest

from vifistore.errors import DamagedError
from vifistore.store.store import create_store
from vifistore.store.zarr_format.attributes import NONE, read_fields

KINDS = {"rows": int, "settings": (dict, NONE)}


@pytest.fixture
def backend(tmp_path):
    return create_store(tmp_path / "s.zarr").backend


@pytest.mark.parametrize("settings", [None, {"epochs": 3}])
def test_what_is_there_comes_back(backend, settings):
    fields = {"rows": 0, "settings": settings, "more": "x"}
    backend.make_group("videos/d", fields)
    assert read_fields(backend, "videos/d", KINDS) == fields


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"settings": None}, "rows"),
        ({"rows": "3", "settings": None}, "rows"),
        ({"rows": -3, "settings": None}, "rows"),
        # None stands for nothing only where it is written.
        ({"rows": 3}, "settings"),
        ({"rows": 3, "settings": []}, "settings"),
    ],
)
def test_what_is_not_there_is_named(backend, fields, name):
    backend.make_group("videos/d", fields)
    words = f"videos/d/zarr.json does not say its {name} as it should; run: vifi verify"
    with pytest.raises(DamagedError, match=words):
        read_fields(backend, "videos/d", KINDS)
