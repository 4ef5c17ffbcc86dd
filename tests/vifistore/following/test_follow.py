"""The follower: every checkpoint of a folder reaches the store once, whatever happens around it."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vifistore.errors import UnknownNameError, UsageError
from vifistore.extract.extract_settings import EncodeSettings, ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.extract.recipes import resolve_recipe
from vifistore.following import follow as follow_module
from vifistore.following import follow_folder
from vifistore.following.follow import Followed, follow
from vifistore.following.follow_settings import FollowSettings
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import preprocess
from vifistore.frames.processes.pool import DecodePool
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.prompt_learning import PromptSettings, add_prompts
from vifistore.models.towers import load_model
from vifistore.store.info import lineage
from vifistore.store.store import Store

ENCODE = EncodeSettings(frames=2, precision="fp32", device="cpu", workers=1)
ONCE = FollowSettings(once=True, poll=0.05)
DONE = FollowSettings(until_done=True, poll=0.05)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(follow_folder, "_SETTLED_SECONDS", 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the videos that are decoded."""
    names: list[str] = []
    plain = DecodePool._results

    def results(self, job):
        names.append(Path(job.footage.address).name)
        return plain(self, job)

    monkeypatch.setattr(DecodePool, "_results", results)
    return names


def write(folder: Path, tiny: OpenClipModel, step: int, *, change: str, parent: str = "") -> Path:
    """A checkpoint of training, whose tower(s) `change` names."""
    state = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
    for tower, key in (("image", "visual.proj"), ("text", "text_projection")):
        if tower in change:
            state[key] += 0.01 * step
    header = CheckpointHeader(
        model=tiny.model,
        config=tiny.config,
        name=f"run@step-{step}",
        step=step,
        parent=parent,
        settings={"learning_rate": 0.1},
    )
    path = folder / f"step-{step:08d}.safetensors"
    save_checkpoint(path, state, header)
    return path


def run(store: Store, folder: Path, settings: FollowSettings = ONCE) -> list[Followed]:
    return list(follow(store.dataset("d"), folder, ENCODE, settings))


def test_each_checkpoint_is_extracted_with_its_lineage(store, folder, tiny):
    write(folder, tiny, 1, change="image text", parent=tiny.digest)
    first, *rest = run(store, folder)
    assert rest == []
    assert (first.error, first.report.encoded, first.report.sealed) == ("", 6, True)
    write(folder, tiny, 2, change="image text", parent=first.digest)
    assert [f.report.encoded for f in run(store, folder)] == [0, 6]
    (old, new) = lineage(store)
    assert (old["step"], old["parent"], old["depth"]) == (1, tiny.digest, 0)
    assert (new["step"], new["parent"], new["depth"]) == (2, first.digest, 1)
    checkpoint = store.checkpoint(new["digest"])
    assert checkpoint["settings"] == {"learning_rate": 0.1}
    assert store.features("d", "run@step-2").sealed


def test_an_unchanged_image_tower_costs_no_video(store, folder, tiny, decoded):
    write(folder, tiny, 1, change="text")
    run(store, folder)
    assert len(decoded) == 6
    decoded.clear()
    write(folder, tiny, 2, change="text")
    first, second = run(store, folder)
    assert decoded == []
    assert first.report.id == second.report.id
    digests = [store.checkpoint(f.digest)["text_digest"] for f in (first, second)]
    assert digests[0] != digests[1]
    for digest in digests:
        # Of the dataset's classes, for both text towers.
        assert len(store.find_texts(text_digest=digest)) == 1


def test_with_a_frame_cache_videos_are_decoded_once(store, folder, tiny, decoded, tmp_path):
    encode = replace(ENCODE, frame_cache=tmp_path / "frames")
    for step in (1, 2):
        write(folder, tiny, step, change="image")
    found = list(follow(store.dataset("d"), folder, encode, ONCE))
    assert [f.report.encoded for f in found] == [6, 6]
    assert len(decoded) == 6


def test_a_bad_file_is_named_and_the_others_go_on(store, folder, tiny):
    (folder / "a-bad.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (folder / "unnamed.pt").write_bytes(b"junk")
    (folder / "notes.txt").write_text("no checkpoint")
    write(folder, tiny, 1, change="text")
    os.utime(folder / "unnamed.pt", (1, 1))
    found = {f.path.name: f for f in run(store, folder)}
    assert found.keys() == {"a-bad.safetensors", "unnamed.pt", "step-00000001.safetensors"}
    assert "--model" in found["a-bad.safetensors"].error
    assert found["unnamed.pt"].error
    assert found["step-00000001.safetensors"].report.sealed


def test_a_half_written_file_is_not_read(store, folder, tiny):
    whole = write(folder, tiny, 1, change="text")
    data = whole.read_bytes()
    whole.unlink()
    hidden = folder / ".step-00000002.safetensors.7.partial"
    hidden.write_bytes(data)
    half = folder / "step-00000001.safetensors"
    looks: list[int] = []

    def copy_slowly() -> None:
        with half.open("wb") as file:
            for start in range(0, len(data), len(data) // 4):
                file.write(data[start : start + len(data) // 4])
                file.flush()
                looks.append(file.tell())
                time.sleep(0.2)

    half.write_bytes(data[:1000])
    thread = threading.Thread(target=copy_slowly)
    thread.start()
    (followed,) = run(store, folder)
    thread.join()
    assert looks[-1] == len(data)
    assert followed.path == half
    assert followed.report.sealed


def test_a_file_that_never_gets_whole_is_named_until_it_does(store, folder, tiny, monkeypatch):
    whole = write(folder, tiny, 1, change="text")
    data = whole.read_bytes()
    whole.write_bytes(data[:-1])
    monkeypatch.setattr(follow_folder, "_GIVEN_UP_SECONDS", 0.2)
    (followed,) = run(store, folder)
    assert followed.path == whole
    assert whole.name in followed.error
    whole.write_bytes(data)
    assert [f.error for f in run(store, folder)] == [""]


def test_until_done_takes_what_was_written_last(store, folder, tiny):
    def train() -> None:
        for step in (1, 2, 3):
            write(folder, tiny, step, change="text")
            time.sleep(0.2)
        (folder / "finished.json").write_text(json.dumps({"step": 3}))

    thread = threading.Thread(target=train)
    thread.start()
    found = run(store, folder, DONE)
    thread.join()
    assert sorted(f.path.name for f in found) == [f"step-{n:08d}.safetensors" for n in (1, 2, 3)]


def test_a_trainer_that_is_killed_ends_the_follower_that_catches_up(store, tmp_path, tiny):
    """The folder need not be there at first, and `finished.json` never is."""
    folder = tmp_path / "later"
    trainer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])

    def train() -> None:
        write(folder, tiny, 1, change="text")
        trainer.kill()
        trainer.wait()

    timer = threading.Timer(0.3, train)
    timer.start()
    settings = FollowSettings(until_done=True, trainer=trainer.pid, poll=0.05)
    assert [f.report.sealed for f in run(store, folder, settings)] == [True]
    timer.join()


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_trainer_that_nobody_waited_for_has_ended():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as trainer:
        assert follow_module._is_running(trainer.pid)
        trainer.kill()
        os.waitid(os.P_PID, trainer.pid, os.WEXITED | os.WNOWAIT)
        assert not follow_module._is_running(trainer.pid)


def test_a_run_made_again_under_the_same_names_keeps_both(store, folder, tiny):
    write(folder, tiny, 1, change="image")
    (first,) = run(store, folder)
    write(folder, tiny, 1, change="image text")
    (second,) = run(store, folder)
    assert first.report.name == "run@step-1"
    assert second.report.name == "vifi-tiny@run@step-1.2f"
    write(folder, tiny, 1, change="text")
    (third,) = run(store, folder)
    assert third.report.name == f"{second.report.name}.{third.digest}"
    assert store.features("d", first.report.name).checkpoint == first.digest
    assert [f.report.name for f in run(store, folder)] == [third.report.name]


_HOLD_BLOCK = """
import sys
from pathlib import Path
from vifistore.store.key_value.locks import BlockLocks
locks = BlockLocks(Path(sys.argv[1]), "d", sys.argv[2])
locks.acquire([0])
print("held", flush=True)
sys.stdin.read()
"""


def test_what_another_process_extracts_is_waited_for(store, folder, tiny, caplog, monkeypatch):
    path = write(folder, tiny, 1, change="image")
    loaded = load_model(tiny.model, str(path))
    wanted = ExtractSettings(**vars(ENCODE), model=tiny.model, pretrained=str(path))
    arguments = [str(store.backend.cache_folder), resolve_recipe(wanted, loaded).id]
    other = subprocess.Popen(
        [sys.executable, "-c", _HOLD_BLOCK, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline() == "held\n"
    ended = threading.Timer(2, other.communicate)
    ended.start()
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    with caplog.at_level(logging.INFO, "vifi"):
        assert [f.report.sealed for f in run(store, folder)] == [True]
    ended.join()
    assert f"{path.name} waits: 6 videos of run@step-1 are being encoded by other" in caplog.text


def test_prompts_are_used_and_scored_with_their_own_template(store, folder, tiny):
    prompted = load_model(tiny.model, "none")
    add_prompts(prompted.clip, PromptSettings(image_depth=2, text_prompts=4, text_depth=2), seed=1)
    write(folder, prompted, 1, change="")
    (followed,) = run(store, folder)
    wanted = ExtractSettings(**vars(ENCODE), model=tiny.model, pretrained="none")
    recipe = resolve_recipe(wanted, prompted)
    videos = [
        decode_video(store.dataset("d").root() / path, frames=2, clips=1, decoder="decord").frames
        for path in store.videos("d")["path"]
    ]
    frames = torch.from_numpy(np.concatenate(videos))
    with torch.inference_mode():
        pixels = preprocess(frames, recipe.preprocessing, 1)[0]
        expected, plain = (
            model.clip.encode_image(pixels).unflatten(0, (6, 1, 2)).numpy()
            for model in (prompted, tiny)
        )
    found = store.features("d", followed.report.name).read("frames").astype(np.float32)
    assert abs(found - expected).max() < 2e-3
    assert abs(found - plain).max() > 0.1
    (texts,) = store.find_texts(text_digest=store.checkpoint(followed.digest)["text_digest"])
    assert texts["templates"] == ["{}."]


def test_a_file_that_goes_while_it_is_loaded_is_no_error(store, folder, tiny, monkeypatch):
    path = write(folder, tiny, 1, change="text")
    plain = follow_module.load_model

    def too_late(model, pretrained, **options):
        path.unlink()
        return plain(model, pretrained, **options)

    monkeypatch.setattr(follow_module, "load_model", too_late)
    assert run(store, folder) == []


def test_wrong_use_is_refused_before_anything_is_read(store, folder, tmp_path):
    with pytest.raises(UsageError, match="there is no folder"):
        run(store, tmp_path / "nowhere")
    with pytest.raises(UnknownNameError, match="dataset"):
        list(follow(store.dataset("other"), folder, ENCODE, ONCE))
    with pytest.raises(UsageError, match="two things"):
        FollowSettings(once=True, until_done=True)
    with pytest.raises(UsageError, match="--until-done"):
        FollowSettings(trainer=7)
    for seconds in (0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--poll"):
            FollowSettings(poll=seconds)
    for model in ("vifi-tny", ".."):
        with pytest.raises(UnknownNameError, match="unknown model"):
            run(store, folder, replace(ONCE, model=model))
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(UsageError, match="there is no folder"):
        next(follow(store.dataset("d"), file, ENCODE, DONE))


def test_a_folder_that_is_not_there_yet_is_told_of(store, tmp_path, log):
    settings = FollowSettings(until_done=True, trainer=2**22 + 1, poll=0.05)
    assert run(store, tmp_path / "later", settings) == []
    assert any("waiting for" in line and "later" in line for line in log)


def test_a_gpu_is_given_back_after_each_checkpoint(store, folder, tiny, monkeypatch):
    calls: list[str] = []
    monkeypatch.setattr(follow_module, "choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.compiler, "reset", lambda: calls.append("reset"))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("empty"))
    for step in (1, 2):
        write(folder, tiny, step, change="text")
    assert len(run(store, folder)) == 2
    assert calls == ["reset", "empty"] * 2
    # What is in the store already touches no GPU.
    assert len(run(store, folder)) == 2
    assert len(calls) == 4


def test_other_frames_get_the_long_name_and_a_known_one_stays(store, folder, tiny):
    path = write(folder, tiny, 1, change="image")
    wanted = ExtractSettings(**vars(ENCODE), model=tiny.model, pretrained=str(path))
    assert extract_dataset(store.dataset("d"), wanted).name == "run@step-1"
    longer = extract_dataset(store.dataset("d"), replace(wanted, frames=3))
    assert longer.name == "vifi-tiny@run@step-1.3f"
    assert extract_dataset(store.dataset("d"), replace(wanted, frames=3)).name == longer.name
    # A set of an earlier version keeps its name, and gets no other.
    other = write(folder, tiny, 2, change="image")
    earlier = replace(wanted, pretrained=str(other), name="vifi-tiny@run@step-2.2f")
    extract_dataset(store.dataset("d"), earlier)
    assert extract_dataset(store.dataset("d"), replace(earlier, name="")).name == earlier.name
    assert [f.report.name for f in run(store, folder)] == ["run@step-1", earlier.name]
