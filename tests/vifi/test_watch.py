"""`vifi watch`: exit codes, and that killing it at any time loses nothing."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.vifistore.extract.conftest import scan, write_clip
from vifi.__main__ import run
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.towers import load_model
from vifistore.store import open_store

FLAGS = (
    *("--dataset", "d", "--frames", "2", "--precision", "fp32", "--device", "cpu"),
    *("--workers", "1", "--poll", "0.1"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three checkpoints with other image towers."""
    tiny = load_model("vifi-tiny", "none")
    for step in (1, 2, 3):
        state = {key: value.clone() for key, value in tiny.clip.state_dict().items()}
        state["visual.proj"] += step
        header = CheckpointHeader(
            model=tiny.model,
            config=tiny.config,
            name=f"run@step-{step}",
            step=step,
            parent=tiny.digest,
            settings={},
        )
        save_checkpoint(tmp_path / "run" / f"step-{step}.safetensors", state, header)
    return tmp_path / "run"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """130 videos, three blocks: two clips under many names, since content is read once only."""
    for number in range(2):
        write_clip(tmp_path / "v" / "run" / f"{number}.mp4", seed=number, num_frames=5)
    for number in range(2, 130):
        os.link(tmp_path / "v" / "run" / "1.mp4", tmp_path / "v" / "run" / f"{number}.mp4")
    return scan(tmp_path / "s.zarr", tmp_path / "v").path


def test_one_look_by_the_verb(folder, store, capsys):
    (folder / "bad.safetensors").write_bytes(b"junk")
    os.utime(folder / "bad.safetensors", (1, 1))
    for path in folder.glob("step-[23]*"):
        path.unlink()
    assert run(["watch", str(folder), str(store), *FLAGS, "--once", "--json"]) == 1
    captured = capsys.readouterr()
    documents = {d["file"]: d for d in json.loads(captured.out)["checkpoints"]}
    assert documents["step-1.safetensors"]["features"]["sealed"]
    assert documents["bad.safetensors"]["error"]
    (line,) = [line for line in captured.err.splitlines() if "bad.safetensors" in line]
    assert line.startswith("vifi: bad.safetensors is skipped")
    (folder / "bad.safetensors").unlink()
    assert run(["watch", str(folder), str(store), *FLAGS, "--once"]) == 0
    assert "0 encoded" in capsys.readouterr().out
    assert run(["info", str(store), "--lineage"]) == 0
    assert "step 1" in capsys.readouterr().out
    assert run(["watch", str(folder), str(store), "--dataset", "other", "--once"]) == 2
    assert "unknown dataset" in capsys.readouterr().err
    assert run(["watch", str(folder), str(store), *FLAGS, "--once", "--model", "vifi-tny"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "unknown model 'vifi-tny'. Did you mean 'vifi-tiny" in line


def test_folders_of_transformers_are_not_followed(capsys):
    asked = ["watch", "runs", "S.zarr", "--dataset", "d", "--model", "hf:google/siglip"]
    assert run(asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has its weights in a folder, and files are followed here" in line


def follower(folder: Path, store: Path, *flags: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "vifi", "watch", str(folder), str(store), *FLAGS, *flags]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    )


@pytest.mark.slow
def test_killed_in_the_middle_it_catches_up(folder, store):
    """Behind the first set and so amid the second; what then runs ends what is left."""
    process = follower(folder, store)
    assert "step-1.safetensors" in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()

    (folder / "finished.json").write_text("{}")
    process = follower(folder, store, "--until-done")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    lines = said.splitlines()
    assert [line.split()[0] for line in lines] == [f"step-{n}.safetensors" for n in (1, 2, 3)]
    # What was finished before the kill is not done again.
    assert " 0 encoded, 0 reused" in lines[0]
    assert " 2 encoded, 128 reused" in lines[2]
    after = open_store(store)
    sets = [after.features("d", f"run@step-{n}") for n in (1, 2, 3)]
    assert all(features.sealed for features in sets)
    assert len({np.asarray(features.read("view_mean")).tobytes() for features in sets}) == 3
    assert run(["verify", str(store)]) == 0
