"""A sigmoid's bias is a field of checkpoints and texts; those without one are as they were."""

import numpy as np
import pytest

from vifistore.errors import DamagedError
from vifistore.store.checkpoints import checkpoint_digest
from vifistore.store.importing.store_copy import copy_checkpoint
from vifistore.store.logit_bias import scored_by
from vifistore.store.recipe import digest_of
from vifistore.store.store import create_store
from vifistore.store.texts import texts_id
from vifistore.store.verifying.verify import verify_store

TOWERS = {"image_digest": "i", "text_digest": "t", "logit_scale": 112.5}
RECORD = {"name": "siglip", "model": "m", "config": {}, "weights_path": "", **TOWERS}
RECORD |= {"parent": "", "step": 0, "settings": {}}
FIELDS = {"text_digest": "t", "logit_scale": 112.5, "class_names": ["run", "jump"]}
FIELDS |= {"templates": ["{}"], "context_length": 64, "precision": "fp32"}
BIAS = {"logit_bias": -16.5}
VECTORS = np.random.default_rng(0).normal(size=(2, 1, 8)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    return create_store(tmp_path / "S.zarr")


def test_ids_without_a_bias_are_those_of_before():
    towers = {"image": "i", "text": "t", "logit_scale": 112.5}
    assert checkpoint_digest("i", "t", 112.5) == digest_of(towers)[:12]
    assert texts_id(FIELDS) == digest_of(FIELDS)[:12]
    assert checkpoint_digest("i", "t", 112.5, -16.5) == digest_of({**towers, **BIAS})[:12]
    assert texts_id({**FIELDS, **BIAS}) == digest_of({**FIELDS, **BIAS})[:12]
    # A bias of nothing is a bias.
    assert checkpoint_digest("i", "t", 112.5, 0.0) != checkpoint_digest("i", "t", 112.5)


@pytest.mark.parametrize("write", ["add_checkpoint", "add_texts"])
def test_readers_of_before_are_told_to_look_elsewhere(store, write):
    def add(further):
        if write == "add_checkpoint":
            return store.add_checkpoint({**RECORD, **further})
        return store.add_texts({**FIELDS, **further}, VECTORS)

    plain = add({})
    assert store.schema == 1
    assert add(BIAS) != plain
    assert store.schema == 2
    assert list(verify_store(store)) == []


def test_texts_are_found_by_their_bias_or_by_having_none(store):
    plain, biased = store.add_texts(FIELDS, VECTORS), store.add_texts({**FIELDS, **BIAS}, VECTORS)
    records = [store.checkpoint(store.add_checkpoint({**RECORD, **b})) for b in ({}, BIAS)]
    found = [[t["id"] for t in store.find_texts(**scored_by(record))] for record in records]
    assert found == [[plain], [biased]]
    assert store.texts(biased).attrs["logit_bias"] == -16.5
    assert "logit_bias" not in store.texts(plain).attrs


def test_a_copy_keeps_the_bias(store, tmp_path):
    digest = store.add_checkpoint({**RECORD, **BIAS})
    texts = store.add_texts({**FIELDS, **BIAS}, VECTORS)
    other = create_store(tmp_path / "T.zarr")
    copy_checkpoint(store, other, digest)
    assert other.checkpoint(digest)["logit_bias"] == -16.5
    assert [found["id"] for found in other.find_texts()] == [texts]


def test_a_bias_that_is_no_number_is_damage(store):
    digest, texts = store.add_checkpoint({**RECORD, **BIAS}), store.add_texts(FIELDS, VECTORS)
    for path in (f"checkpoints/{digest}", f"texts/{texts}"):
        attributes = store.backend.attributes(path)
        store.backend.make_group(path, {**attributes, "logit_bias": "much"})
    with pytest.raises(DamagedError, match="does not say its logit_bias as it should"):
        store.checkpoint(digest)
    with pytest.raises(DamagedError, match="does not say its logit_bias as it should"):
        store.find_texts()
