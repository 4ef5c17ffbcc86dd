"""`vifi convert`: files that OpenCLIP itself loads, bit for bit, and one line where it cannot."""

import json
from dataclasses import replace

import pytest
import torch

from vifi.__main__ import run
from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model
from vifistore.store.identity import TunedOn, packed

TINY = "vifi-tiny"
TUNED_ON = (TunedOn(dataset="d", split="train", videos=packed(["00" * 32])),)


@pytest.fixture
def ours(tmp_path):
    """A checkpoint of training, and its weights."""
    loaded = load_model(TINY, "none")
    header = CheckpointHeader(
        **{"model": TINY, "config": loaded.config, "name": "run@step-7", "step": 7, "parent": "p"},
        settings={"a": 1},
        digest=loaded.digest,
        identity=replace(loaded.identity, templates=("{}",), tuned_on=TUNED_ON),
    )
    save_checkpoint(tmp_path / "ours.safetensors", loaded.clip.state_dict(), header)
    return tmp_path / "ours.safetensors", loaded.clip.state_dict()


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_openclip_loads_what_is_written(ours, tmp_path, capsys, suffix):
    path, state = ours
    out = tmp_path / "new" / f"out{suffix}"
    assert run(["convert", str(path), str(out), "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert same(open_clip.create_model(TINY, pretrained=str(out)).state_dict(), state)
    back = load_model(TINY, str(out))
    assert same(back.clip.state_dict(), state)
    assert document["digest"] == back.digest
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    if suffix == ".safetensors":
        assert read_header(out) == read_header(path)
    assert ("cannot say what run@step-7 was trained with and on" in captured.err) == (
        suffix == ".pt"
    )
    again = tmp_path / "again.safetensors"
    assert run(["convert", str(out), str(again), "--model", TINY]) == 0
    assert same(load_model(TINY, str(again)).clip.state_dict(), state)


def test_openclip_training_files_become_ours(tmp_path, capsys):
    clip = new_model(TINY, 3)
    state = {f"module.{key}": value for key, value in clip.state_dict().items()}
    torch.save({"epoch": 2, "name": "run", "state_dict": state}, tmp_path / "epoch_2.pt")
    out = tmp_path / "out.safetensors"
    assert run(["convert", str(tmp_path / "epoch_2.pt"), str(out)]) == 2
    assert "name it with --model" in capsys.readouterr().err
    assert run(["convert", str(tmp_path / "epoch_2.pt"), str(out), "--model", TINY]) == 0
    assert same(load_model(TINY, str(out)).clip.state_dict(), clip.state_dict())
    assert read_header(out).name == "epoch_2"


@pytest.fixture
def pair(monkeypatch):
    """Two small models of one shape, with either activation; the name of the plain one."""
    configs = open_clip.factory._MODEL_CONFIGS
    plain = {key: value for key, value in configs[TINY].items() if key != "quick_gelu"}
    monkeypatch.setitem(configs, "pair", plain)
    monkeypatch.setitem(configs, "pair-quickgelu", {**plain, "quick_gelu": True})
    return "pair"


def test_a_guess_stays_a_guess(pair, tmp_path, capsys):
    """Neither the pixels nor the activation of a bare file become facts by being written down."""
    bare, out = tmp_path / "bare.pt", tmp_path / "out.safetensors"
    torch.save(new_model(pair, 3).state_dict(), bare)
    assert run(["convert", str(bare), str(out), "--model", pair, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["assumed"] == ["preprocessing", "activation"]
    assert "assumed: OpenCLIP's default, since it has no tag of pair" in captured.err
    assert read_header(out).identity.assumed == ("preprocessing", "activation")
    for file in (bare, out):
        plain = load_model(pair, str(file))
        assert plain.identity.assumed == ("preprocessing", "activation")
        assert "does not say which activation it was trained with" in capsys.readouterr().err
    # Nothing speaks against the other activation, then as now; its towers have other digests.
    other = load_model(f"{pair}-quickgelu", str(out))
    assert (other.model, other.name) == (f"{pair}-quickgelu", plain.name)
    assert other.image_digest != plain.image_digest


def test_what_is_known_can_be_stated(pair, tmp_path, capsys):
    bare, out = tmp_path / "bare.pt", tmp_path / "out.safetensors"
    torch.save(new_model(pair, 3).state_dict(), bare)
    call = ["convert", str(bare), str(out), "--model", pair]
    assert run([*call, "--activation", "quickgelu"]) == 1
    assert "were trained with QuickGELU, which pair does not use" in last_error(capsys)
    stated = ("--mean", "0", "0", "0", "--std", "1", "1", "1", "--resize-mode", "squash")
    assert run([*call, "--activation", "gelu", *stated]) == 0
    identity = read_header(out).identity
    assert identity.assumed == ()
    assert (identity.preprocessing["mean"], identity.preprocessing["std"]) == ([0.0] * 3, [1.0] * 3)
    assert identity.preprocessing["resize_mode"] == "squash"
    assert load_model(pair, str(out)).identity == identity
    with pytest.raises(ModelError, match="were trained with GELU"):
        load_model(f"{pair}-quickgelu", str(out))


def test_prompts_of_others_become_a_file_of_ours(tmp_path, capsys):
    """Else nobody could use ViFi-CLIP's where OpenAI's token embedding is only in a file."""
    prompted = new_model(TINY, 3)
    add_prompts(prompted, PromptSettings(image_depth=2, text_prompts=4, text_depth=1), seed=0)
    torch.save(prompted.state_dict(), tmp_path / "prompted.pt")
    out = tmp_path / "out.safetensors"
    assert run(["convert", str(tmp_path / "prompted.pt"), str(out), "--model", TINY]) == 0
    assert "is for vifi alone" in capsys.readouterr().err
    assert same(load_model(TINY, str(out)).clip.state_dict(), prompted.state_dict())


def last_error(capsys) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_cannot_be_converted_is_one_line(ours, tmp_path, capsys):
    path, state = ours
    out = tmp_path / "out.safetensors"
    assert run(["convert", str(path), str(tmp_path / "out.bin")]) == 2
    assert ".safetensors or .pt" in last_error(capsys)
    assert run(["convert", str(path), str(path)]) == 2
    assert "exists" in last_error(capsys)
    assert run(["convert", str(tmp_path / "no.pt"), str(out), "--model", TINY]) == 1
    assert "there is no file" in last_error(capsys)
    assert run(["convert", str(tmp_path / "no.pt"), str(out)]) == 1
    assert "there is no file" in last_error(capsys)
    assert run(["convert", str(path), "/proc/out.pt"]) == 1
    assert "/proc/" in last_error(capsys)
    prompted = new_model(TINY, 3)
    add_prompts(prompted, PromptSettings(image_depth=2, text_prompts=4, text_depth=1), seed=0)
    header = replace(read_header(path), digest="")
    save_checkpoint(tmp_path / "prompted.safetensors", prompted.state_dict(), header)
    prompted_out = str(tmp_path / "prompted.pt")
    assert run(["convert", str(tmp_path / "prompted.safetensors"), prompted_out]) == 2
    assert "give an OUT that ends in .safetensors" in last_error(capsys)

    class Evil:
        def __reduce__(self):
            return (print, ("this was run",))

    torch.save({"state_dict": state, "x": Evil()}, tmp_path / "evil.pt")
    assert run(["convert", str(tmp_path / "evil.pt"), str(out), "--model", TINY]) == 1
    captured = capsys.readouterr()
    assert "refused" in captured.err
    assert captured.out == ""
    assert not out.exists()
