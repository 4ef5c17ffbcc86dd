"""Queries to what was made from other feature sets: derived sets, and heads on towers."""

import shutil

import numpy as np
import pytest

from harness.retrieval.search import Searcher
from vifi.__main__ import run
from vifi.searching.query_words import query_encoder
from vifistore.errors import ModelError
from vifistore.store import open_store
from vifistore.store.derived import write_derived


@pytest.fixture
def store(searchable, tmp_path):
    """A copy of the searchable store with a derived set `turned`, whose dims are reversed."""
    shutil.copytree(searchable, tmp_path / "s.zarr")
    store = open_store(tmp_path / "s.zarr", mode="a")
    head = {"digest": "a" * 64, "kind": "turned"}
    write_derived(
        store.features("d", "tiny"),
        head=head,
        apply=lambda f: f.mean(axis=2)[..., ::-1],
        name="turned",
    )
    return store


def test_a_derived_set_is_searched_in_its_own_space(store):
    searcher = Searcher(store, "turned")
    query = query_encoder(store, searcher.checkpoint)(["a red run"])
    (hits,) = searcher.search(query[:, ::-1], 20)
    (expected,) = Searcher(store, "tiny").search(query, 20)
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert "red run/broken.mp4" not in {hit.id for hit in hits}


@pytest.mark.parametrize(
    ("flags", "words"), [(("--frames",), "has no frames"), (("--like", "alone.mp4"), "")]
)
def test_what_a_derived_set_can_be_asked(store, capsys, flags, words):
    query = [] if "--like" in flags else ["a red run"]
    code = run(["search", str(store.path), *query, "--features", "turned", *flags])
    assert code == (2 if words else 0)
    assert words in capsys.readouterr().err


def test_a_picture_has_no_place_in_a_derived_set(store, capsys, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    picture = str(tmp_path / "a.png")
    assert run(["search", str(store.path), "--image", picture, "--features", "turned"]) == 2
    assert "not extracted from videos" in capsys.readouterr().err


def head_on(store, tower: dict, **changes) -> dict:
    """The record of a head that was trained on a tower."""
    fields = {key: tower[key] for key in ("model", "config", "text_digest", "step")}
    record = {
        **fields,
        "name": "tiny+head",
        "image_digest": "pooling",
        "logit_scale": 100.0,
        "weights_path": "/gone/head.safetensors",
        "parent": tower["digest"],
        "settings": {"head": "actionclip-mean"},
        **changes,
    }
    return store.checkpoint(store.add_checkpoint(record))


def test_a_head_is_asked_in_the_words_of_its_tower(store):
    (tower,) = store.checkpoints()
    own = query_encoder(store, head_on(store, tower))(["a red run"])
    np.testing.assert_array_equal(own, query_encoder(store, tower)(["a red run"]))
    # One with words of its own needs its file.
    with pytest.raises(ModelError, match="gone"):
        query_encoder(store, head_on(store, tower, text_digest="other"))
