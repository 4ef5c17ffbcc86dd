"""A run leaves checkpoints that load, and goes on where it was stopped."""

import contextlib
import json
import logging
import platform
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.vifistore.training.conftest import SETTINGS, losses_of, same_weights, tiny_model
from vifistore.errors import ModelError, UsageError
from vifistore.models.checkpoint_files import read_header
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.towers import load_model
from vifistore.models.weights import read_weights
from vifistore.training.distributed import Processes, precision_of
from vifistore.training.faults import checkpoint_name
from vifistore.training.options import RunOptions
from vifistore.training.systems.class_objective import ClassObjective


class Stopped(Exception):
    """Stands for a kill."""


def stopping(data, step: int):
    """The data of a process that ends before a step."""

    class Source:
        targets, has_pixels, skipped = data.targets, data.has_pixels, data.skipped
        digests = data.digests

        def views(self, batches, settings, device):
            for batch in batches:
                if batch.step == step:
                    raise Stopped
                yield from data.views([batch], settings, device)

    return Source()


def assert_goes_on(trained, data, folder, step: int, changes: dict) -> None:
    """A run of these settings that is stopped at a step ends as an undisturbed one, bit for bit."""
    whole, _ = trained(out="whole", **changes)
    with pytest.raises(Stopped):
        trained(out="parts", source=stopping(data, step), **changes)
    again, _ = trained(out="parts", **changes)
    assert same_weights(whole.clip.state_dict(), again.clip.state_dict())
    for name in ("step-00000004", "ema-step-00000004", "optimiser/step-00000004"):
        paths = (folder / run / f"{name}.safetensors" for run in ("whole", "parts"))
        assert same_weights(*map(load_file, paths)), name
    assert losses_of(folder / "whole") == losses_of(folder / "parts")


def test_a_file_says_how_it_was_made_and_loads_as_what_was_trained(trained, tmp_path):
    start, report = trained(trains="text")
    out = tmp_path / "out"
    assert report.path == out / "step-00000004.safetensors"
    header = read_header(report.path)
    parent = tiny_model()
    assert (header.name, header.step, header.parent) == ("out@step-4", 14, parent.digest)
    assert header.settings["trains"] == "text"
    loaded = load_model("vifi-tiny", str(report.path))
    assert loaded.image_digest == parent.image_digest
    assert loaded.text_digest != parent.text_digest
    assert same_weights(start.clip.state_dict(), loaded.clip.state_dict())
    said = json.loads((out / "step-00000004.json").read_text())
    assert said["digest"] == loaded.digest
    assert (said["image_digest"], said["text_digest"]) == (loaded.image_digest, loaded.text_digest)
    assert said["logit_scale"] == loaded.logit_scale
    assert said["seed"] == SETTINGS.seed
    assert said["metrics"] == report.metrics
    assert said["config"] == loaded.config
    assert said["settings"] == json.loads(
        json.dumps({**asdict(replace(SETTINGS, trains="text")), "kind": "trained"})
    )


def test_the_folder_of_a_run(trained, tmp_path):
    trained(ema=0.5, blend=(0.25,))
    out = tmp_path / "out"
    weights = [
        *("blend-0.25-step-00000004", "ema-step-00000002", "ema-step-00000004"),
        *("step-00000002", "step-00000004"),
    ]
    assert sorted(p.stem for p in out.glob("*.safetensors")) == weights
    assert sorted(p.stem for p in out.glob("*.json")) == sorted([*weights, "finished", "run"])
    assert len(list((out / "optimiser").iterdir())) == 2
    finished = json.loads((out / "finished.json").read_text())
    assert finished["checkpoints"] == [f"{name}.safetensors" for name in weights]
    assert len(losses_of(out)) == 4
    assert not list(out.rglob("*.partial"))


def test_blend_and_average_are_what_they_say(trained, tmp_path):
    after_each = RunOptions(checkpoint_every=1)
    trained(ema=0.75, blend=(0.25, 1.0, 1e-5), options=after_each)
    out, start = tmp_path / "out", tiny_model().clip.state_dict()
    end = read_weights(out / "step-00000004.safetensors")
    blend = read_weights(out / "blend-0.25-step-00000004.safetensors")
    key = "visual.proj"
    assert torch.allclose(blend[key], 0.75 * start[key] + 0.25 * end[key], atol=1e-7)
    assert same_weights(read_weights(out / "blend-1-step-00000004.safetensors"), end)
    assert (out / "blend-0.00001-step-00000004.safetensors").exists()
    # What training leaves alone is the same in all of them, bit for bit.
    assert torch.equal(blend["token_embedding.weight"], start["token_embedding.weight"])
    average = start[key]
    for step in range(1, 5):
        average = 0.75 * average + 0.25 * read_weights(out / f"step-{step:08d}.safetensors")[key]
    found = read_weights(out / "ema-step-00000004.safetensors")
    assert torch.allclose(found[key], average, atol=1e-6)
    assert read_header(out / "ema-step-00000004.safetensors").name == "out@ema-step-4"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_stopped_run_goes_on_bit_for_bit(trained, data, tmp_path, step):
    changes = {"ema": 0.9, "mixing": True, "flip": 0.5, "micro_batch": 2}
    whole, _ = trained(out="whole", **changes)
    with pytest.raises(Stopped):
        trained(out="parts", source=stopping(data, step), **changes)
    again, report = trained(out="parts", **changes)
    assert report.step == 4
    assert same_weights(whole.clip.state_dict(), again.clip.state_dict())
    for name in ("step-00000004", "ema-step-00000004", "optimiser/step-00000004"):
        paths = (tmp_path / run / f"{name}.safetensors" for run in ("whole", "parts"))
        assert same_weights(*map(load_file, paths)), name
    assert losses_of(tmp_path / "whole") == losses_of(tmp_path / "parts")


def test_a_finished_run_is_left_alone(trained, tmp_path):
    trained()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    _, report = trained()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert report.path.exists()
    assert report.metrics == {}


def test_another_run_does_not_go_on_here(trained, tmp_path, monkeypatch):
    trained()
    with pytest.raises(
        UsageError, match=r"settings is learning_rate=0\.001 and not 0\.5; give another"
    ):
        trained(learning_rate=0.5)
    with pytest.raises(
        UsageError,
        match=r"epochs=2 and not 3; learning rates depend .* --pretrained .*/step-00000004\.safe",
    ):
        trained(epochs=3)
    with pytest.raises(UsageError, match=r"not 3; give another --out$"):
        trained(epochs=3, seed=5)
    with pytest.raises(UsageError, match="start is"):
        trained(start=tiny_model(1))
    with pytest.raises(UsageError, match="checkpointing is False and not True; give another"):
        trained(options=RunOptions(gradient_checkpointing=True))
    with monkeypatch.context() as on_gpu:
        on_gpu.setattr("vifistore.training.run.compiles_on", lambda device: True)
        with pytest.raises(UsageError, match="compile is False and not True; give --no-compile"):
            trained()
    (tmp_path / "out" / "run.json").unlink()
    with pytest.raises(UsageError, match="no known run"):
        trained()
    for text in ("{", "[1]"):
        (tmp_path / "out" / "run.json").write_text(text)
        with pytest.raises(UsageError, match=r"run\.json .*; give another --out"):
            trained()


def test_a_run_of_before_a_setting_goes_on_where_the_setting_is_at_its_default(
    trained, data, tmp_path
):
    trained(out="whole", drop_last=True)
    with pytest.raises(Stopped):
        trained(source=stopping(data, 2), drop_last=True)
    path = tmp_path / "out" / "run.json"
    known = json.loads(path.read_text())
    del known["settings"]["released_data"]
    path.write_text(json.dumps(known))
    with pytest.raises(UsageError, match="settings is released_data=False and not True"):
        trained(drop_last=True, released_data=True)
    assert trained(drop_last=True)[1].step == 4
    assert losses_of(tmp_path / "out") == losses_of(tmp_path / "whole")


def test_the_device_is_recorded_and_a_run_stays_on_its_type(
    trained, data, tmp_path, caplog, monkeypatch
):
    with pytest.raises(Stopped):
        trained(source=stopping(data, 2))
    path = tmp_path / "out" / "run.json"
    known = json.loads(path.read_text())
    assert known["device"] == "cpu"
    assert known["device_name"] == f"cpu ({platform.machine()})"
    path.write_text(json.dumps({**known, "device": "cuda"}))
    with pytest.raises(UsageError, match="device is 'cuda' and not 'cpu'; give another --out"):
        trained()
    path.write_text(json.dumps({**known, "device_name": "another one"}))
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    assert trained()[1].step == 4
    assert "began on another one and goes on on cpu" in caplog.text


def test_a_run_that_has_saved_nothing_is_none_yet(trained, data, tmp_path):
    with pytest.raises(Stopped):
        trained(source=stopping(data, 1), learning_rate=0.5)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["learning_rate"]
    assert trained()[1].step == 4
    known = json.loads((tmp_path / "out" / "run.json").read_text())
    assert known["settings"]["learning_rate"] == SETTINGS.learning_rate
    trained(out="whole")
    assert losses_of(tmp_path / "out") == losses_of(tmp_path / "whole")


def test_a_gpu_that_is_too_small_is_said_in_one_line(trained, data, tmp_path, monkeypatch):
    plain = ClassObjective.sums
    calls: list[int] = []

    def sums(self, views, texts):
        calls.append(1)
        if len(calls) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
        return plain(self, views, texts)

    monkeypatch.setattr(ClassObjective, "sums", sums)
    with pytest.raises(ModelError, match=r"too small .*step-00000002.*--micro-batch below 6"):
        trained()


@pytest.mark.parametrize("name", ["my run", "ünsinn", "-run", "x" * 180])
def test_a_name_that_no_store_takes_is_refused_at_once(trained, tmp_path, name):
    with pytest.raises(UsageError, match="give a --name"):
        trained(out=name)
    assert not (tmp_path / name).exists()
    assert checkpoint_name("run-1", tmp_path / name) == "run-1"


def test_the_folder_is_called_by_its_own_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checkpoint_name("", Path()) == tmp_path.name


def test_files_of_others_in_the_folder_are_no_steps(trained, data, tmp_path):
    with pytest.raises(Stopped):
        trained(source=stopping(data, 3))
    (tmp_path / "out" / "step-best.json").write_text("{}")
    assert trained()[1].step == 4


def test_a_finished_run_still_tells_what_was_skipped(trained, data):
    source = replace(data, skipped={3: "3.mp4 is gone"})
    assert trained(source=source)[1].skipped == ["3.mp4 is gone"]
    assert trained()[1].skipped == ["3.mp4 is gone"]


@pytest.mark.parametrize(("has_bf16", "wanted"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_without_bf16_computes_in_fp32(monkeypatch, has_bf16, wanted):
    monkeypatch.setattr(torch.cuda, "device", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert precision_of("auto", torch.device("cuda", 1)) == wanted
    assert precision_of("auto", torch.device("cpu")) == "fp32"
    assert precision_of("bf16", torch.device("cpu")) == "bf16"


def test_classes_that_become_equal_when_cut_are_refused(trained, data):
    long = "a very long sentence about nothing in particular, which nobody will ever read"
    with pytest.raises(UsageError, match="shorter --template"):
        trained(template=f"{long} {{}}")


def test_as_many_processes_go_on_as_began(trained, monkeypatch):
    trained()
    two = contextlib.nullcontext((Processes(rank=0, world=2), torch.device("cpu")))
    monkeypatch.setattr("vifistore.training.run.joined", lambda device: two)
    with pytest.raises(UsageError, match="processes is 1 and not 2; give another"):
        trained()


def test_settings_that_cannot_begin_leave_the_folder_free(trained):
    with pytest.raises(UsageError, match="--flip 0"):
        trained(trains="text", flip=0.5)
    assert trained(trains="text")[1].step == 4


def prompted(**settings: int) -> OpenClipModel:
    start = tiny_model()
    add_prompts(start.clip, PromptSettings(**settings), seed=0)
    return start


def test_prompts_of_the_start_are_trained_on_or_refused(trained):
    own = {"image_prompts": 3, "image_depth": 2, "text_prompts": 2, "text_depth": 1}
    flags = "give --image-prompts 3 --image-depth 2 --text-prompts 2 --text-depth 1 to train"
    before = prompted(**own).clip.state_dict()
    for change in ({"image_prompts": 0}, {"image_depth": 0}, {"text_prompts": 5}):
        with pytest.raises(UsageError, match=flags):
            trained(start=prompted(**own), trains="prompts", **{**own, **change})
    start, _ = trained(start=prompted(**own), trains="prompts", **own)
    after = start.clip.state_dict()
    changed = {key for key in after if not torch.equal(before[key], after[key])}
    assert changed == {"visual.prompts.vectors", "prompts.vectors"}


def test_an_optimiser_state_that_is_damaged_is_named(trained, data, tmp_path):
    with pytest.raises(Stopped):
        trained(source=stopping(data, 2))
    state = tmp_path / "out" / "optimiser" / "step-00000002.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ModelError, match="step-00000002"):
        trained()


def test_a_torn_log_is_mended(trained, data, tmp_path):
    trained(out="whole")
    with pytest.raises(Stopped):
        trained(out="parts", source=stopping(data, 3))
    log = tmp_path / "parts" / "log.csv"
    assert len(log.read_text().splitlines()) == 4
    log.write_text(log.read_text() + "4,2.0,0.1")
    trained(out="parts")
    assert losses_of(tmp_path / "parts") == losses_of(tmp_path / "whole")


def test_steps_and_epochs_of_checkpoints(trained, tmp_path):
    trained(options=RunOptions(checkpoint_every=3))
    steps = sorted(path.stem for path in (tmp_path / "out").glob("step-*.json"))
    assert steps == ["step-00000003", "step-00000004"]
    assert json.loads((tmp_path / "out" / "step-00000003.json").read_text())["epoch"] == 1.5


def test_tensorboard_files(trained, tmp_path):
    pytest.importorskip("tensorboard")
    trained(options=RunOptions(tensorboard=True))
    (events,) = (tmp_path / "out" / "tensorboard").iterdir()
    assert events.stat().st_size > 100


def test_frames_in_memory_of_a_frozen_tower_cannot_change(trained):
    with pytest.raises(UsageError, match="--flip 0"):
        trained(trains="text", flip=0.5)
