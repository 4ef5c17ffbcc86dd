"""Every refusal of the loader: one line of at most 400 characters, with a remedy, and no other
warning before it."""

import json
import logging
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.vifistore.models.tiny_models import register
from vifistore.errors import VifiError
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.prompt_learning import IMAGE_KEY
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model

# A file of others says no activation, and this model has a sibling of the other one.
MODEL = "vifi-refusals"
LONG = "n" * 180
WORDY = ".".join(["a_part_of_a_name"] * 300)


@pytest.fixture(scope="module", autouse=True)
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    register(folder)
    for name, quick_gelu in ((MODEL, False), (f"{MODEL}-quickgelu", True)):
        config = model_config("vifi-tiny") | {"quick_gelu": quick_gelu}
        config["text_cfg"]["context_length"] = 14
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)


@pytest.fixture(scope="module")
def state(models):
    return new_model(MODEL, 0).state_dict()


class WithALongNameForAPickle:
    def __reduce__(self):
        return (print, ("this was run",))


def torch_file(change: Callable[[dict], object]) -> Callable[[Path, dict], None]:
    return lambda path, state: torch.save(change(dict(state)), path)


def plain_file(content: bytes) -> Callable[[Path, dict], None]:
    return lambda path, state: path.write_bytes(content)


def of_header(**fields: object) -> Callable[[Path, dict], None]:
    """A checkpoint of ours that says so of itself."""

    def make(path: Path, state: dict) -> None:
        known = {"model": MODEL, "config": model_config(MODEL), "name": "x", "step": 0}
        header = CheckpointHeader(**{**known, "parent": "", "settings": {}, **fields})
        save_checkpoint(path, state, header)

    return make


def of_metadata(text: str) -> Callable[[Path, dict], None]:
    return lambda path, state: save_file(state, path, metadata={"vifistore": text})


def archive(**members: bytes) -> Callable[[Path, dict], None]:
    def make(path: Path, state: dict) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in members.items():
                opened.writestr(f"a/{name.replace('_', '.')}", content)

    return make


def openai(state: dict) -> dict:
    numbers = ("input_resolution", "context_length", "vocab_size")
    return state | {name: torch.tensor(1) for name in numbers}


def vifi(state: dict) -> dict:
    found = {}
    for key, value in state.items():
        name = key.replace("visual.", "image_encoder.")
        if key != "token_embedding.weight":
            found[name if name != key or key == "logit_scale" else f"text_encoder.{key}"] = value
    return {"model": {f"module.{key}": value for key, value in found.items()}}


def without(part: str) -> Callable[[dict], dict]:
    return lambda state: {key: value for key, value in state.items() if part not in key}


FILES: dict[str, tuple[str, Callable[[Path, dict], None]]] = {
    "folder": (".pt", lambda path, state: path.mkdir()),
    "pointer": (".bin", plain_file(b"version https://git-lfs.github.com/spec/v1\noid x")),
    "page": (".ckpt", plain_file(b"<!doctype html><html>" + b"x" * 9000)),
    "empty": (".pt", plain_file(b"")),
    "junk": (".safetensors", plain_file(b"junk" * 4000)),
    "junk of torch": (".pt", plain_file(b"junk\n" * 4000)),
    "torn": (".pt", plain_file(b"PK\x03\x04" + b"x" * 4000)),
    "wordy header": (".safetensors", of_metadata(json.dumps({WORDY: 1}))),
    "deep header": (".safetensors", of_metadata("[" * 5000)),
    "other model": (".safetensors", of_header(model=WORDY, config={"embed_dim": 7})),
    "other architecture": (".safetensors", of_header(config={"embed_dim": 7})),
    "other activation": (
        ".safetensors",
        lambda path, state: of_header(config=model_config(f"{MODEL}-quickgelu"))(path, state),
    ),
    "code": (".pt", torch_file(lambda s: {"state_dict": s, "x": WithALongNameForAPickle()})),
    "program": (".pt", archive(constants_pkl=b"", data_pkl=pickle.dumps([WORDY], protocol=4))),
    "bomb": (".pt", archive(data_pkl=b"x", data_0=bytes(200 << 20))),
    "expanded": (
        ".pt",
        torch_file(lambda s: s | {"visual.proj": torch.zeros(1).expand(1 << 30)}),
    ),
    "nothing": (".pt", torch_file(lambda s: {"epoch": 3})),
    "optimiser": (
        ".pt",
        torch_file(lambda s: {"state": {0: {"a": s["visual.proj"]}}, "param_groups": []}),
    ),
    "adapter": (".pt", torch_file(lambda s: {f"{WORDY}.lora_A.weight": s["visual.proj"]})),
    "diffusion": (".pt", torch_file(lambda s: {f"unet.down_blocks.{WORDY}": s["visual.proj"]})),
    "no tower": (".pt", torch_file(lambda s: {WORDY: s["visual.proj"]})),
    "image alone": (".pt", torch_file(lambda s: {f"{WORDY}.visual.proj": s["visual.proj"]})),
    "text alone": (".pt", torch_file(lambda s: {f"{WORDY}.ln_final.bias": s["visual.proj"]})),
    "several": (".pt", torch_file(lambda s: {f"{WORDY}{n}": dict(s) for n in range(9)})),
    "in parts": (
        ".pt",
        torch_file(lambda s: {f"{WORDY}{n}": {k: v} for n, (k, v) in enumerate(s.items())}),
    ),
    "two scales": (
        ".pt",
        torch_file(
            lambda s: {f"{WORDY}.{k}": v for k, v in s.items()} | {"logit_scale": torch.tensor(9.0)}
        ),
    ),
    "all lacking": (".pt", torch_file(without("resblocks"))),
    "surplus": (
        ".pt",
        torch_file(lambda s: s | {f"visual.{n}.{WORDY}": s["logit_scale"] for n in range(99)}),
    ),
    "lacking, surplus": (
        ".pt",
        torch_file(
            lambda s: (
                {k: v.flatten() if "ln" in k else v for k, v in s.items() if "mlp" not in k}
                | {"visual.class_embedding": torch.zeros(3), WORDY: torch.zeros(1)}
            )
        ),
    ),
    "misshapen": (".pt", torch_file(lambda s: {k: v[None][None][None] for k, v in s.items()})),
    "resolution": (
        ".pt",
        torch_file(lambda s: s | {"visual.positional_embedding": torch.zeros(37, 64)}),
    ),
    "quantised": (".pt", torch_file(lambda s: {k: v.to(torch.int8) for k, v in s.items()})),
    "not finite": (".pt", torch_file(lambda s: {k: v * torch.nan for k, v in s.items()})),
    "scale": (".pt", torch_file(lambda s: s | {"logit_scale": torch.tensor(100.0)})),
    "sparse": (".pt", torch_file(lambda s: s | {"visual.proj": s["visual.proj"].to_sparse()})),
    "complex": (".pt", torch_file(lambda s: s | {"visual.proj": s["visual.proj"] + 1j})),
    "OpenAI's": (".pt", torch_file(openai)),
    "ViFi-CLIP's": (".pt", torch_file(vifi)),
    "prompts": (".pt", torch_file(lambda s: s | {IMAGE_KEY: torch.zeros(2, 3, 5)})),
}


def refusal(model: str, pretrained: str, **options: object) -> str:
    with pytest.raises(VifiError) as caught:
        load_model(model, pretrained, **options).text_side.encode(["a"])
    return str(caught.value)


def check(told: str, said: str = "") -> None:
    assert len(told) <= 400, told
    assert "\n" not in told
    # What is wrong; then what to do.
    assert any(part in told for part in ("; ", ": --", "Did you mean", "There are: ")), told
    assert "activation" not in said


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_refused(tmp_path, state, case, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    suffix, make = FILES[case]
    folder = tmp_path / LONG / LONG
    folder.mkdir(parents=True)
    path = folder / f"{LONG}{suffix}"
    make(path, state)
    check(refusal(MODEL, str(path)), caplog.text)


@pytest.mark.parametrize(
    ("model", "pretrained", "weights"),
    [
        (MODEL, f"/{LONG}/{LONG}/{LONG}.pt", {}),
        (MODEL, f"{LONG}{LONG}", {}),
        (f"ViT-B-{LONG}", "none", {}),
        ("ViT-B-33", "openai", {}),
        ("ViT-B-32", "opnai", {}),
        ("ViT-B-32", "openai", {}),
        (MODEL, "none", {"ema_weights": True}),
        (MODEL, "none", {"image_size": 4}),
        ("vifi-test-hub", "none", {}),
        ("vifi-test-siglip", "none", {}),
    ],
)
def test_calls_that_are_refused(model, pretrained, weights):
    check(refusal(model, pretrained, weights=WeightsSettings(**weights)))


def test_vifi_files_without_tokens_are_refused_once_they_fit(tmp_path, state):
    path = tmp_path / f"{LONG}.pth"
    torch.save(vifi(state), path)
    source = f"/{LONG}/{LONG}.pt"
    told = refusal(f"{MODEL}-quickgelu", str(path), token_embedding=source)
    check(told)
    assert "--token-embedding FILE" in told
    # Of another width.
    torch.save(new_model("vifi-test-clip", 0).state_dict(), tmp_path / "other.pt")
    other = {"token_embedding": str(tmp_path / "other.pt")}
    check(refusal(f"{MODEL}-quickgelu", str(path), **other))


@pytest.mark.parametrize("layout", [openai, dict])
def test_the_first_remedy_is_the_right_model(tmp_path, layout):
    """And not another activation of the wrong one."""
    other = new_model("vifi-test-clip", 0).state_dict()
    torch.save(layout(other), tmp_path / "a.pt")
    told = refusal(MODEL, str(tmp_path / "a.pt"))
    assert told.endswith("its tensors are those of vifi-test-clip; use --model vifi-test-clip")


@pytest.mark.parametrize(
    ("layout", "right"),
    [
        (openai, f"use --model {MODEL}-quickgelu"),
        (dict, f"use --model {MODEL} (or {MODEL}-quickgelu)"),
    ],
)
def test_a_known_activation_chooses_between_models_of_one_shape(tmp_path, state, layout, right):
    torch.save(layout(state), tmp_path / "a.pt")
    assert refusal("vifi-test-clip", str(tmp_path / "a.pt")).endswith(right)
