"""What a checkpoint file says of itself: read, taken as said, and held against its weights."""

import hashlib
import json
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.towers import load_model
from vifistore.store.identity import DIGEST_BYTES, Identity, TunedOn, packed

TINY = "vifi-tiny"
PIXELS = {
    "family": "openclip",
    "size": 32,
    "mean": [0.1, 0.2, 0.3],
    "std": [0.5, 0.6, 0.7],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
IDENTITY = Identity(
    preprocessing=PIXELS,
    templates=("a clip of {}.",),
    cleaning="spaces",
    sampling={"rule": "segment-centre", "frames": 8},
    tuned_on=(TunedOn(dataset="d", split="train", class_names=("a",), videos=packed(["00" * 32])),),
)
# As the first version wrote it.
OLD = {"model": TINY, "name": "x", "step": 0, "parent": "", "settings": {}}


@pytest.fixture(scope="module")
def tiny():
    return load_model(TINY, "none")


@pytest.fixture
def write(tiny, tmp_path):
    """Write the tiny model under a header of these fields; returns the file."""

    def call(state=None, **fields):
        text = json.dumps({**OLD, "config": tiny.config, **fields})
        weights = {key: value.clone() for key, value in (state or tiny.clip.state_dict()).items()}
        save_file(weights, tmp_path / "a.safetensors", metadata={"vifistore": text})
        return tmp_path / "a.safetensors"

    return call


def header(**fields) -> CheckpointHeader:
    return CheckpointHeader(**{**OLD, "config": model_config(TINY), **fields})


def test_all_that_is_said_comes_back(tiny, tmp_path):
    said = header(digest=tiny.digest, identity=IDENTITY)
    save_checkpoint(tmp_path / "a.safetensors", tiny.clip.state_dict(), said)
    assert read_header(tmp_path / "a.safetensors") == said
    loaded = load_model(TINY, str(tmp_path / "a.safetensors"))
    assert loaded.identity == IDENTITY
    own = loaded.preprocess_config
    assert {key: own[key] for key in ("mean", "std", "interpolation", "resize_mode")} == {
        key: PIXELS[key] for key in ("mean", "std", "interpolation", "resize_mode")
    }
    assert loaded.preprocessing_from == "as its header says"
    assert loaded.digest == tiny.digest


def test_what_a_later_version_adds_is_left_alone(write):
    path = write(**IDENTITY.as_json(), later={"a": 1})
    assert read_header(path).identity == IDENTITY
    assert load_model(TINY, str(path)).identity.frames == 8


def test_a_header_of_the_first_version_loads(tiny, write):
    path = write()
    assert read_header(path).identity == Identity()
    loaded = load_model(TINY, str(path))
    assert loaded.digest == tiny.digest
    assert loaded.preprocess_config == tiny.preprocess_config
    settings = {"trains": "full", "template": "{}", "class_names": "words", "num_frames": 4}
    trained = load_model(TINY, str(write(settings={**settings, "preprocess": "paper"})))
    assert (trained.identity.frames, trained.identity.templates) == (4, ("{}",))
    assert trained.identity.preprocessing["family"] == "paper"
    # Which statistics its tower has is not said there.
    assert "preprocessing" in trained.identity.assumed


@pytest.mark.parametrize(
    "wrong",
    [
        *({"model": 5}, {"config": []}, {"name": None}, {"step": "1"}, {"parent": 0}),
        *({"settings": "x"}, {"step": -5}, {"step": True}, {"name": "../x"}, {"digest": 5}),
        *({"templates": "a {}"}, {"sampling": {"rule": "x"}}, {"tuned_on": "d"}),
        *({"name": "x" * 5000}, {"tuned_on": "d" * 5000}, {"preprocessing": ["d" * 5000]}),
    ],
)
def test_a_malformed_header_is_one_line(write, wrong):
    path = write(**wrong)
    for read in (read_header, lambda path: load_model(TINY, str(path))):
        with pytest.raises(ModelError, match="header that cannot be read") as caught:
            read(path)
        assert len(str(caught.value).replace(str(path), "")) < 400


@pytest.mark.parametrize("text", ["{}", "[]", "5", "{", '"x"'])
def test_a_header_that_is_none_is_one_line(tiny, tmp_path, text):
    state = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
    save_file(state, tmp_path / "a.safetensors", metadata={"vifistore": text})
    with pytest.raises(ModelError, match="header that cannot be read"):
        read_header(tmp_path / "a.safetensors")


def test_of_another_model(write, tiny):
    other = {**tiny.config, "embed_dim": 7}
    with pytest.raises(ModelError, match="calls it a other and describes another"):
        load_model(TINY, str(write(model="other", config=other)))
    clip = model_config("ViT-B-32")
    with pytest.raises(ModelError, match="holds a ViT-B-32, not a vifi-tiny; use --model ViT-B-32"):
        load_model(TINY, str(write(model="ViT-B-32", config=clip)))
    # The config is that of the weights, so that only the name is wrong: it would name the set.
    with pytest.raises(ModelError, match="calls it a ViT-B-32 and describes another"):
        load_model(TINY, str(write(model="ViT-B-32")))
    with pytest.raises(ModelError, match="install the one that it was trained with"):
        load_model(TINY, str(write(config=other)))


def test_weights_that_are_not_those_of_the_header(tiny, write):
    state = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
    assert load_model(TINY, str(write(digest=tiny.digest))).digest == tiny.digest
    state["visual.proj"][0, 0] = torch.nextafter(state["visual.proj"][0, 0], torch.tensor(9.0))
    with pytest.raises(
        ModelError, match=f"its header is that of {tiny.digest}; copy the file again"
    ):
        load_model(TINY, str(write(state, digest=tiny.digest)))


def test_pixels_of_another_size(write):
    said = {**IDENTITY.as_json(), "preprocessing": {**PIXELS, "size": 224}}
    with pytest.raises(ModelError, match="squares of 224 pixels, vifi-tiny sees 32"):
        load_model(TINY, str(write(**said)))


def test_the_videos_of_kinetics_fit_into_a_header(tiny, tmp_path):
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(240_000)]
    names = tuple(f"class {number}" for number in range(400))
    entry = TunedOn(dataset="k400", split="train", class_names=names, videos=packed(digests))
    assert len(entry.videos) == 240_000 * DIGEST_BYTES
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, tiny.clip.state_dict(), header(identity=Identity(tuned_on=(entry,))))
    start = time.perf_counter()
    found = read_header(path)
    assert time.perf_counter() - start < 2
    assert found.identity.tuned_on[0].holds(digests[:3]).all()
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    assert length < 3e6
