"""Checkpoints of others: read under OpenCLIP's names, bit for bit, and never run."""

import json
import pickle
import random
import sys
import types
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from vifistore.errors import ModelError, UsageError
from vifistore.models import towers
from vifistore.models.prompt_learning import (
    IMAGE_KEY,
    TEXT_KEY,
    PromptSettings,
    add_prompts,
    prompt_state,
)
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

TINY = "vifi-tiny-foreign-quickgelu"
PLAIN = "vifi-tiny-foreign"


@pytest.fixture(scope="module", autouse=True)
def configs(tmp_path_factory):
    """The tiny model in both activations, as OpenCLIP's own come."""
    folder = tmp_path_factory.mktemp("configs")
    for name, quick_gelu in ((TINY, True), (PLAIN, False)):
        config = model_config("vifi-tiny") | {"quick_gelu": quick_gelu}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def clip(configs) -> torch.nn.Module:
    return new_model(TINY, 5)


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


def vifi_state(clip: torch.nn.Module, prefix: str = "module.") -> dict[str, torch.Tensor]:
    """The model under ViFi-CLIP's names."""
    state = {}
    for key, value in clip.state_dict().items():
        if key in ("token_embedding.weight", *prompt_state(clip)):
            continue
        if key.startswith("visual."):
            name = f"image_encoder.{key.removeprefix('visual.')}"
        else:
            name = key if key == "logit_scale" else f"text_encoder.{key}"
        state[prefix + name] = value.clone()
    state[f"{prefix}prompt_learner.complete_text_embeddings"] = torch.zeros(4, 16, 64)
    return state


class Weird:
    """What a file must not make of itself."""

    def __reduce__(self):
        return (print, ("this was run",))


@pytest.fixture
def settings_object(monkeypatch):
    """An object as ViFi-CLIP's files hold it: of a class of yacs, which is not installed."""
    module = types.ModuleType("yacs.config")

    class CfgNode(dict):
        pass

    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    module.CfgNode = CfgNode
    monkeypatch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    node = CfgNode(TRAIN=CfgNode(EPOCHS=10), DATA=["a", 1.5])
    node.__dict__["__immutable__"] = True
    return node


def save_vifi(path, state: dict, settings: object) -> None:
    found = {"model": state, "optimizer": {"state": {}}, "max_accuracy": 1.0, "config": settings}
    torch.save(found, path)
    sys.modules.pop("yacs.config")


@pytest.mark.parametrize("prefix", ["module.", "model.module.", ""])
def test_vifi_files_get_openai_token_embedding(
    clip, tmp_path, settings_object, prefix, monkeypatch
):
    path = tmp_path / "vifi.pth"
    save_vifi(path, vifi_state(clip, prefix), settings_object)
    save_file({k: v.clone() for k, v in clip.state_dict().items()}, tmp_path / "openai.safetensors")
    openai = str(tmp_path / "openai.safetensors")
    found = load_model(TINY, str(path), token_embedding=openai)
    assert same(found.clip.state_dict(), clip.state_dict())
    assert found.name == "vifi"


def test_vifi_prompts_are_ours(clip, tmp_path):
    prompted = new_model(TINY, 5)
    add_prompts(
        prompted,
        PromptSettings(image_prompts=3, image_depth=4, text_prompts=2, text_depth=2),
        seed=1,
    )
    image, text = prompt_state(prompted)[IMAGE_KEY], prompt_state(prompted)[TEXT_KEY]
    state = vifi_state(prompted)
    state["module.image_encoder.VPT"] = image[0]
    state["module.prompt_learner.ctx"] = text[0]
    for tower, vectors in (("image", image), ("text", text)):
        for layer in range(1, len(vectors)):
            name = f"module.{tower}_encoder.transformer.resblocks.{layer}.VPT_shallow"
            state[name] = vectors[layer]
    for name in ("token_prefix", "token_suffix"):
        state[f"module.prompt_learner.{name}"] = torch.zeros(4, 1, 64)
    torch.save({"model": state}, tmp_path / "prompted.pth")
    torch.save(clip.state_dict(), tmp_path / "openai.pt")
    found = load_model(
        TINY, str(tmp_path / "prompted.pth"), token_embedding=str(tmp_path / "openai.pt")
    )
    expected = {**prompted.state_dict(), "token_embedding.weight": clip.token_embedding.weight}
    assert same(found.clip.state_dict(), expected)
    del state["module.image_encoder.transformer.resblocks.2.VPT_shallow"]
    torch.save({"model": state}, tmp_path / "gap.pth")
    with pytest.raises(ModelError, match=r"visual\.prompts\.vectors\.3"):
        load_model(TINY, str(tmp_path / "gap.pth"), token_embedding=str(tmp_path / "openai.pt"))


def test_vifi_without_openai_says_what_to_do(clip, tmp_path):
    torch.save({"model": vifi_state(clip)}, tmp_path / "vifi.pth")
    with pytest.raises(ModelError, match=r"OpenAI's.*vifi convert .* --token-embedding FILE"):
        load_model(TINY, str(tmp_path / "vifi.pth"))


def save_openai(clip: torch.nn.Module, path) -> dict[str, torch.Tensor]:
    """A TorchScript archive with what OpenAI's hold, in half precision; returns its weights."""

    class Traced(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, child in clip.named_children():
                setattr(self, name, child)
            for name in ("positional_embedding", "text_projection", "logit_scale"):
                setattr(self, name, getattr(clip, name))
            for name, number in (
                ("input_resolution", 32),
                ("context_length", 16),
                ("vocab_size", 49408),
            ):
                self.register_buffer(name, torch.tensor(number))
            self.register_buffer("attn_mask", clip.attn_mask)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.visual(pixels) * self.logit_scale

    traced = Traced().half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(traced, torch.zeros(1, 3, 32, 32).half()).save(path)
    state = {key: value.clone() for key, value in traced.state_dict().items()}
    traced.float()
    return {key: state[key].float() for key in clip.state_dict()}


def test_openai_archives_are_read_and_not_run(tmp_path, monkeypatch):
    clip = new_model(TINY, 6)
    expected = save_openai(clip, tmp_path / "ViT-tiny.pt")

    def refuse(*arguments, **options):
        raise AssertionError("a program is run")

    monkeypatch.setattr(torch.jit, "load", refuse)
    found = load_model(TINY, str(tmp_path / "ViT-tiny.pt"))
    assert same(found.clip.state_dict(), expected)
    with pytest.raises(ModelError, match=f"OpenAI's weights .* use --model {TINY}"):
        load_model(PLAIN, str(tmp_path / "ViT-tiny.pt"))


def test_vifi_wants_quick_gelu(clip, tmp_path):
    torch.save({"model": vifi_state(clip)}, tmp_path / "vifi.pth")
    with pytest.raises(ModelError, match=f"ViFi-CLIP's weights .* use --model {TINY}"):
        load_model(PLAIN, str(tmp_path / "vifi.pth"))


def test_every_key_that_does_not_fit_is_named(clip, tmp_path):
    state = vifi_state(clip)
    del state["module.image_encoder.proj"], state["module.text_encoder.ln_final.bias"]
    state["module.image_encoder.surplus"] = torch.zeros(1)
    state["module.other"] = torch.zeros(1)
    torch.save({"model": state}, tmp_path / "vifi.pth")
    torch.save(clip.state_dict(), tmp_path / "openai.pt")
    with pytest.raises(ModelError) as caught:
        load_model(TINY, str(tmp_path / "vifi.pth"), token_embedding=str(tmp_path / "openai.pt"))
    for key in ("visual.proj", "ln_final.bias", "visual.surplus", "other"):
        assert key in str(caught.value)


@pytest.mark.parametrize("where", ["beside", "inside", "alone", "plain pickle"])
def test_files_with_something_to_run_are_refused_unread(clip, tmp_path, where, capsys):
    path = tmp_path / "evil.pt"
    content = {
        "beside": {"state_dict": clip.state_dict(), "settings": Weird()},
        "inside": {"state_dict": {**clip.state_dict(), "x": Weird()}},
        "alone": Weird(),
    }
    if where == "plain pickle":
        path.write_bytes(pickle.dumps({"state_dict": {}, "x": Weird()}))
    else:
        torch.save(content[where], path)
    with pytest.raises(ModelError, match=r"evil\.pt holds more than tensors .* refused") as caught:
        load_model(TINY, str(path))
    assert "\n" not in str(caught.value)
    assert "this was run" not in capsys.readouterr().out


def test_an_archive_with_other_instructions_is_refused(tmp_path, capsys):
    path = tmp_path / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("evil/constants.pkl", b"")
        archive.writestr("evil/data.pkl", pickle.dumps(Weird(), protocol=4))
    with pytest.raises(ModelError, match="TorchScript archive that cannot be read"):
        load_model(TINY, str(path))
    assert "this was run" not in capsys.readouterr().out


def archive_of(path, description: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/data.pkl", description)


@pytest.mark.parametrize(
    "description",
    [
        # An object that is an attribute of its own: {} is in the memo when it is put into itself.
        b"\x80\x02c__torch__\nM\n)\x81q\x00}X\x01\x00\x00\x00aq\x01h\x00sb.",
        # Appends to a number; takes from an empty stack; recalls what was never kept.
        b"\x80\x02K\x01K\x02a.",
        b"\x80\x02a.",
        b"\x80\x02h\x07.",
        b"",
    ],
)
def test_an_archive_that_describes_nothing_is_refused(tmp_path, description):
    path = tmp_path / "odd.pt"
    archive_of(path, description)
    with pytest.raises(ModelError, match=r"odd\.pt"):
        load_model(TINY, str(path))


def test_damaged_files_are_one_line_wherever_the_damage_is(clip, tmp_path):
    path, rng = tmp_path / "torn.pt", random.Random(0)
    small = {"a": torch.zeros(3), "b": {"c": torch.ones(2, 2)}}
    torch.save(small, path)
    plain = path.read_bytes()
    archive_of(path, pickle.dumps({"a": [1, 2.5, "text"]}, protocol=2))
    archive = path.read_bytes()
    for whole in (plain, archive):
        for number in range(60):
            data = bytearray(whole)
            if number % 3:
                for _ in range(3):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            else:
                del data[rng.randrange(len(data)) :]
            path.write_bytes(data)
            with pytest.raises(ModelError) as caught:
                load_model(TINY, str(path))
            assert "\n" not in str(caught.value)


def test_what_is_no_state_dict_is_refused(tmp_path):
    torch.save({"a": 1}, tmp_path / "a.pt")
    with pytest.raises(ModelError, match="no state dict"):
        load_model(TINY, str(tmp_path / "a.pt"))
    (tmp_path / "b.pt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"b\.pt"):
        load_model(TINY, str(tmp_path / "b.pt"))


def test_scalar_scales_of_either_shape(clip, tmp_path):
    state = {**clip.state_dict(), "logit_scale": clip.logit_scale.detach().reshape(1)}
    torch.save({"state_dict": state, "epoch": 3, "name": "run"}, tmp_path / "epoch_3.pt")
    assert same(load_model(TINY, str(tmp_path / "epoch_3.pt")).clip.state_dict(), clip.state_dict())
    assert towers.OPENAI == "openai"
    with pytest.raises(UsageError):
        load_model(TINY, "opnai")
