"""`vifi convert`: files that OpenCLIP itself loads, bit for bit, and one line where it cannot."""

import json

import pytest
import torch

from vifi.__main__ import run
from vifistore.models.checkpoints import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.prompts import PromptSettings, add_prompts
from vifistore.models.towers import load_model, new_model, open_clip

TINY = "vifi-tiny"


@pytest.fixture
def ours(tmp_path):
    """A checkpoint of training, and its weights."""
    loaded = load_model(TINY, "none")
    header = CheckpointHeader(
        model=TINY, config=loaded.config, name="run@step-7", step=7, parent="p", settings={"a": 1}
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
    document = json.loads(capsys.readouterr().out)
    assert same(open_clip.create_model(TINY, pretrained=str(out)).state_dict(), state)
    back = load_model(TINY, str(out))
    assert same(back.clip.state_dict(), state)
    assert document["digest"] == back.digest
    assert [p.name for p in out.parent.iterdir()] == [out.name]
    if suffix == ".safetensors":
        assert read_header(out) == read_header(path)
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
    save_checkpoint(tmp_path / "prompted.safetensors", prompted.state_dict(), read_header(path))
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
