"""Encoders of other packages: what they say is checked, and what is wrong told in a line."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vifistore.models.plugins_package import write_package
from vifistore.errors import ModelError, TextTowerError, UnknownNameError, UsageError
from vifistore.extract.class_texts import reload_checkpoint
from vifistore.extract.encoder import Encoder
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.plugins import plugin_names
from vifistore.models.plugins.plugin_names import require_allowed
from vifistore.models.towers import load_model
from vifistore.store.problems import model_flags

CLIP = "moving_colours:MovingColours"
CPU = torch.device("cpu")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The module of docs/EXTENDING.md, which no package brings."""
    folder = write_package(tmp_path / "package")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(plugin_names, "_called", set())
    sys.modules.pop("moving_colours", None)
    yield importlib.import_module("moving_colours")
    sys.modules.pop("moving_colours", None)


def test_an_encoder_is_what_it_says(package):
    loaded = load_model(CLIP, "none")
    assert (loaded.kind, loaded.num_frames, loaded.num_outputs, loaded.dim) == ("clip", 8, 1, 6)
    assert (loaded.logit_scale, loaded.logit_bias, loaded.image_size) == (20.0, None, (32, 32))
    assert loaded.identity.preprocessing["mean"] == [0.0, 0.0, 0.0]
    assert (loaded.name, loaded.weights_path) == ("none", "none")
    assert not any(weight.requires_grad for weight in loaded.image_tower.parameters())
    pixels = torch.rand(3, 8, 3, 32, 32)
    ((_, found),) = Encoder(loaded, precision="fp32", device=CPU).encode([(0, pixels)])
    np.testing.assert_allclose(found[:, :3], pixels.mean((1, 3, 4)) + 0.1, rtol=1e-5)
    texts = loaded.text_side.encode(["a red one"])
    np.testing.assert_allclose(texts, [[1.1, 0.1, 0.1, 0.1, 0.1, 0.1]], rtol=1e-6)


def test_a_tower_in_bf16_leaves_the_encoder_as_it_is(package):
    loaded = load_model(CLIP, "none")
    encoder = Encoder(loaded, precision="bf16", device=CPU)
    ((_, found),) = encoder.encode([(0, torch.ones(1, 8, 3, 32, 32))])
    assert found.dtype == torch.float32
    assert loaded.encoder.module.weight.dtype == torch.float32


def test_its_identity_is_of_all_that_makes_it(package, monkeypatch):
    first = load_model(CLIP, "none")
    assert load_model(CLIP, "none").digest == first.digest
    frame = load_model("moving_colours:Colours", "none")
    towers = {first.image_digest, first.text_digest, frame.image_digest, frame.text_digest}
    assert len(towers) == 4
    changes = {"num_frames": 4, "kind": "frame", "config": {"heads": 2}}
    for name, value in changes.items():
        with monkeypatch.context() as patch:
            patch.setattr(package.MovingColours, name, value, raising=False)
            assert load_model(CLIP, "none").image_digest != first.image_digest
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.init, "eye_", lambda weight: torch.nn.init.constant_(weight, 0.5))
        assert load_model(CLIP, "none").image_digest != first.image_digest
    file = Path(package.__file__)
    file.write_text(file.read_text() + "\n")
    assert load_model(CLIP, "none").image_digest != first.image_digest


def test_weights_that_nobody_names_are_no_folder(package, monkeypatch):
    class Own(package.MovingColours):
        def __init__(self, pretrained):
            assert pretrained == ""
            super().__init__("none")

    monkeypatch.setattr(package, "Own", Own, raising=False)
    loaded = load_model("moving_colours:Own", "")
    record = {**loaded.record(), "digest": loaded.digest, "names": [loaded.name]}
    assert (record["names"], record["weights_path"]) == (["default"], "")
    assert model_flags(record) == ["--model", "moving_colours:Own"]
    assert reload_checkpoint(record).digest == loaded.digest


def test_encoders_of_one_package_are_not_one(package, monkeypatch):
    """Their modules and weights are the same, and what they do with these is not."""

    class Brightest(package.MovingColours):
        def encode_frames(self, pixels):
            return self.module(pixels.amax((-2, -1)).amax(1).repeat(1, 2))

    def make(pretrained):
        return (Brightest if pretrained == "brightest" else package.MovingColours)(pretrained)

    for name, value in {"Brightest": Brightest, "make": make}.items():
        monkeypatch.setattr(package, name, value, raising=False)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda *_: None)
    monkeypatch.setattr(package, "load_file", lambda _: {})
    names = [(CLIP, "none"), ("moving_colours:make", "none"), ("moving_colours:make", "brightest")]
    digests = [load_model(*name).image_digest for name in names]
    assert len({*digests, load_model("moving_colours:Brightest", "none").image_digest}) == 4


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("kind", "video", "'frame' or 'clip'"),
        ("num_frames", -1, "a whole number from 0"),
        ("num_frames", True, "a whole number from 0"),
        ("num_outputs", 0, "a whole number from 1"),
        ("dim", "6", "a whole number from 1"),
        ("logit_scale", float("nan"), "a number above 0"),
        ("logit_scale", 0, "a number above 0"),
        ("logit_bias", "none", "a number, or None"),
        ("preprocessing", {"size": 32}, "a dict of size, mean, std"),
        ("config", {"a": object()}, "a dict of JSON values"),
        ("config", [1], "a dict of JSON values"),
        ("encode_frames", 3, "a method"),
    ],
)
def test_what_is_not_as_it_should_be_is_told(package, monkeypatch, name, value, told):
    monkeypatch.setattr(package.MovingColours, name, value, raising=False)
    with pytest.raises(ModelError, match=told) as raised:
        load_model(CLIP, "none")
    assert f"`{name}`" in str(raised.value)
    assert len(str(raised.value)) < 400


def test_a_preprocessing_that_cannot_be_is_told(package, monkeypatch):
    wrong = {**package.MovingColours.preprocessing, "std": (1, 1, 0)}
    monkeypatch.setattr(package.MovingColours, "preprocessing", wrong)
    with pytest.raises(ModelError, match=r"a deviation is .* not above 0"):
        load_model(CLIP, "none")


def test_what_is_absent_is_told(package, monkeypatch):
    monkeypatch.delattr(package.MovingColours, "dim")
    with pytest.raises(ModelError, match=r"has no `dim`; docs/EXTENDING\.md lists"):
        load_model(CLIP, "none")


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("moving_colours:Nothing", "its import ends with AttributeError"),
        ("no_such_module:make", "its import ends with ModuleNotFoundError: No module named"),
        (CLIP, "its call with 'gone' ends with FileNotFoundError"),
    ],
)
def test_code_that_fails_is_told_in_a_line(package, model, told):
    with pytest.raises(ModelError, match=told) as raised:
        load_model(model, "gone")
    assert "\n" not in str(raised.value)


def test_what_it_says_and_holds_may_fail(package, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(package.MovingColours, "dim", property(lambda _: 1 // 0))
        with pytest.raises(ModelError, match="what it says of itself ends with ZeroDivisionError"):
            load_model(CLIP, "none")
    empty = property(lambda _: torch.nn.Linear(6, 6, device="meta"), lambda *_: None)
    monkeypatch.setattr(package.MovingColours, "module", empty, raising=False)
    with pytest.raises(ModelError, match=r"(the digest of its weights|its call with .*) ends with"):
        load_model(CLIP, "none")


@pytest.mark.parametrize("method", ["__init__", "encode_texts"])
def test_code_that_ends_the_process_is_told(package, monkeypatch, method):
    monkeypatch.setattr(package.MovingColours, method, lambda *_: sys.exit(0))
    with pytest.raises(ModelError, match="ends with SystemExit"):
        load_model(CLIP, "none").text_side.encode(["a"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (np.ones((2, 5)), r"gives float64 \[2, 5\] for 2 texts; make it floats \[2, 6\]"),
        (np.ones((2, 6), int), r"gives int64"),
        ("ab", "gives <U2"),
        (torch.full((2, 6), torch.inf), "not finite"),
        ([[1.0], [1.0, 2.0]], "encode_texts ends with ValueError"),
        (torch.ones(2, 6).to_sparse(), "encode_texts ends with TypeError"),
    ],
)
def test_texts_that_are_no_embeddings_are_refused(package, monkeypatch, given, told):
    monkeypatch.setattr(package.MovingColours, "encode_texts", lambda *_: given)
    with pytest.raises(ModelError, match=told):
        load_model(CLIP, "none").text_side.encode(["a", "b"])


def test_frames_that_are_no_embeddings_are_refused(package, monkeypatch):
    monkeypatch.setattr(package.MovingColours, "encode_frames", lambda _, pixels: pixels.mean(1))
    with pytest.raises(ModelError, match=r"gives \[1, 3, 32, 32\] as frames of one view"):
        Encoder(load_model(CLIP, "none"), precision="fp32", device=CPU)
    monkeypatch.setattr(package.MovingColours, "encode_frames", lambda _, pixels: "x")
    with pytest.raises(ModelError, match="gives a str"):
        Encoder(load_model(CLIP, "none"), precision="fp32", device=CPU)
    monkeypatch.setattr(package.MovingColours, "encode_frames", lambda _, pixels: pixels["a"])
    with pytest.raises(ModelError, match=r"fails on a batch \[1, 8, 3, 32, 32\] with"):
        Encoder(load_model(CLIP, "none"), precision="fp32", device=CPU)


def test_without_texts_videos_are_encoded(package, monkeypatch):
    monkeypatch.setattr(package.MovingColours, "encode_texts", None)
    with pytest.raises(TextTowerError, match="has no encode_texts"):
        load_model(CLIP, "none").text_side.encode(["a"])


def test_flags_of_files_are_refused(package):
    with pytest.raises(UsageError, match="--image-size and --ema-weights"):
        load_model(CLIP, "none", weights=WeightsSettings(image_size=64))


def test_other_names_are_openclips():
    with pytest.raises(UnknownNameError, match="model"):
        load_model("no-such-model", "none")


def test_what_a_file_names_is_not_run(package, monkeypatch):
    with pytest.raises(ModelError, match="code that a file names is not run"):
        require_allowed("os:system")
    require_allowed("ViT-B-32")
    require_allowed("hf:folder")
    load_model(CLIP, "none")
    require_allowed(CLIP)
    monkeypatch.setenv("VIFI_ENCODERS", "os:system,others:make")
    require_allowed("others:make")


def test_every_file_of_modules_that_no_package_brings_counts(tmp_path, monkeypatch, package):
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "__init__.py").write_text("from moving_colours import MovingColours\n")
    (folder / "numbers.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    first = load_model("loose:MovingColours", "none").image_digest
    assert load_model("loose:MovingColours", "none").image_digest == first
    (folder / "numbers.py").write_text("FRAMES = 4\n")
    assert load_model("loose:MovingColours", "none").image_digest != first
    sys.modules.pop("loose")
