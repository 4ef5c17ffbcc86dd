"""What every encoder is, whoever made it; what only OpenCLIP's models can do asks for one."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from vifistore.errors import ModelError, TextTowerError
from vifistore.models.encoders import CLIP, LoadedModel, NoTexts, TextSide
from vifistore.models.openclip_model import OpenClipModel, require_openclip
from vifistore.models.text_embedding import default_cleaning, default_templates, text_fields
from vifistore.models.towers import load_model
from vifistore.store.checkpoints import register_checkpoint
from vifistore.store.identity import Identity
from vifistore.store.store import create_store


class Letters(TextSide):
    """A text is how many a it has, and how many letters."""

    def encode(self, texts):
        return np.array([[text.count("a"), len(text)] for text in texts], np.float32)


@dataclass(kw_only=True, repr=False)
class Foreign(LoadedModel):
    """An encoder that is none of OpenCLIP's."""

    tower: torch.nn.Module

    image_tower = property(lambda self: self.tower)
    text_side = property(lambda self: Letters())
    preprocess_config = property(lambda self: {"size": [8, 6]})

    def to(self, device):
        self.tower.to(device)


@pytest.fixture
def foreign() -> Foreign:
    return Foreign(
        tower=torch.nn.Identity(),
        model="maker:make",
        config={"embed_dim": 2},
        name="first",
        image_digest="a" * 64,
        text_digest="b" * 64,
        logit_scale=10.0,
        weights_path="some words",
        parent="",
        step=0,
        settings={},
        identity=Identity(preprocessing={"family": "openclip"}),
        preprocessing_from="a test",
    )


@pytest.fixture(scope="module")
def tiny() -> OpenClipModel:
    return load_model("vifi-tiny", "none")


def test_the_record_of_an_openclip_model_is_as_it_always_was(tiny):
    assert set(tiny.record()) == {
        *("model", "config", "name", "image_digest", "text_digest", "logit_scale"),
        *("weights_path", "parent", "step", "settings"),
    }


def test_a_record_says_what_is_another_way_than_openclips(foreign, tmp_path):
    other = replace(foreign, kind=CLIP, num_frames=8, num_outputs=4, logit_bias=-2.5)
    assert other.record().keys() - foreign.record() == {
        *("kind", "num_frames", "num_outputs", "logit_bias"),
    }
    store = create_store(tmp_path / "S.zarr")
    digest = register_checkpoint(store.backend, other.record(), other.identity)
    found = store.checkpoint(digest)
    assert (found["kind"], found["num_frames"], found["num_outputs"]) == ("clip", 8, 4)
    assert (found["digest"], found["logit_bias"]) == (other.digest, -2.5)


def test_sizes_and_dimensions_are_those_of_the_encoder(foreign, tiny):
    assert (foreign.image_size, foreign.dim) == ((8, 6), 2)
    assert (tiny.image_size, tiny.dim) == ((32, 32), 64)
    assert "first of maker:make" in repr(foreign)


def test_texts_of_any_encoder_have_defaults(foreign):
    assert default_templates(foreign) == ("a photo of a {}.",)
    assert default_cleaning(foreign) == "as-is"
    assert text_fields(foreign, ["a"], ["{}"])["context_length"] == 0
    assert foreign.text_side.tokens(["a"]) is None


def test_an_encoder_without_texts_says_why():
    with pytest.raises(TextTowerError, match="it is blind to words"):
        NoTexts("it is blind to words").encode(["a"])


def test_what_only_openclips_models_can_do_refuses_others(foreign, tiny):
    assert require_openclip(tiny, "training tunes") is tiny
    for wrong in (foreign, replace(tiny, kind=CLIP)):
        with pytest.raises(ModelError, match="training tunes models of OpenCLIP") as raised:
            require_openclip(wrong, "training tunes")
        assert wrong.model in str(raised.value)
        assert len(str(raised.value)) < 400
