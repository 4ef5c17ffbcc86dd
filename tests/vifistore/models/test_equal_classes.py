"""Classes that a tokenizer makes equal are refused; captions may be equal."""

from dataclasses import replace

import pytest

from tests.vifistore.training.conftest import SETTINGS, bright_set, tiny_model
from vifistore.errors import UsageError
from vifistore.extract.class_texts import ensure_texts
from vifistore.models.text_embedding import encode_classes, prompts_of
from vifistore.models.towers import load_model
from vifistore.store.store import create_store
from vifistore.training.run import Run, train


@pytest.fixture(scope="module")
def tiny():
    return load_model("vifi-tiny", "none")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Apple", "apple"),
        ("air drumming", "air  drumming"),
        ("caf\u00e9", "cafe\u0301"),
        ("rock &amp; roll", "rock & roll"),
    ],
)
def test_two_classes_of_one_token_sequence_are_refused(tiny, tmp_path, one, other):
    store = create_store(tmp_path / "s.zarr")
    with pytest.raises(UsageError, match=r"are read as the same by this model") as caught:
        ensure_texts(store, tiny, ["run", one, other], ["a {}.", "{}"])
    assert repr(one) in str(caught.value)
    assert len(str(caught.value)) < 400
    assert ensure_texts(store, tiny, ["run", one, "hop"], ["a {}.", "{}"])


def test_training_refuses_them_before_a_step(tmp_path):
    videos = replace(bright_set(), class_names=["Apple", "apple"])
    with pytest.raises(UsageError, match="'Apple' and 'apple' are read as the same"):
        train(Run(start=tiny_model(), videos=videos, settings=SETTINGS, out=tmp_path / "out"))


def test_captions_may_be_equal(tiny, tmp_path):
    store = create_store(tmp_path / "s.zarr")
    captions = ["A dog runs", "a dog runs"]
    assert ensure_texts(store, tiny, captions, ["{}"], are_classes=False)
    assert (encode_classes(tiny, captions, ["{}"]).std(0) == 0).all()


def test_equal_captions_beside_a_long_one_are_not_told_to_be_cut(tiny):
    texts = prompts_of(["A dog", "a dog", "word " * 40], ["{}"])
    tiny.text_side.check_lengths(texts, tiny.text_side.tokens(texts))
