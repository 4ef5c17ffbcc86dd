"""`vifi train` from the command line: presets, overrides, going on, and the follower."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vifi.__main__ import run
from vifi.demo.clips import write_clips
from vifi.verbs.train import TrainArguments, _parse
from vifistore.errors import IncompleteError, UsageError
from vifistore.store import open_store
from vifistore.training import follower as following
from vifistore.training.distributed import Processes
from vifistore.training.follower import FollowOptions, follower
from vifistore.training.presets import PRESETS
from vifistore.training.run_folder import RunFolder

TINY = (
    *("--shots", "0", "--frames", "2", "--candidate-frames", "4", "--batch-size", "4"),
    *("--micro-batch", "2", "--epochs", "2", "--warmup-epochs", "0", "--learning-rate", "1e-3"),
    *("--decoder", "pyav", "--workers", "1"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    classes = ["cross sliding sideways", "circle growing and shrinking"]
    write_clips(folder / "videos", classes, {"train": 3}, seed=0)
    assert run(["scan", str(folder / "s.zarr"), str(folder / "videos"), "--dataset", "d"]) == 0
    return folder / "s.zarr"


def call(store: Path, out: Path, *further: str, preset: str = "few_shot") -> list[str]:
    return [
        *("train", preset, str(store), "--dataset", "d", "--model", "vifi-tiny"),
        *("--pretrained", "none", "--out", str(out), *TINY, *further),
    ]


def test_trains_says_so_and_has_nothing_left_to_do(store, tmp_path, capsys):
    assert run(call(store, tmp_path / "o", "--json", "--blend", "0.5")) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["step"] == 4
    assert Path(document["checkpoint"]) == tmp_path / "o" / "step-00000004.safetensors"
    assert set(document["metrics"]) == {"loss", "accuracy"}
    assert (tmp_path / "o" / "blend-0.5-step-00000004.safetensors").exists()
    assert run(call(store, tmp_path / "o", "--blend", "0.5")) == 0
    assert "4 steps" in capsys.readouterr().out
    assert run(call(store, tmp_path / "o")) == 2
    assert "another run, whose settings is blend=[0.5]" in capsys.readouterr().err


def test_videos_that_cannot_be_read_are_named_and_counted(tmp_path, capsys):
    write_clips(tmp_path / "v", ["cross sliding sideways"], {"train": 3}, seed=0)
    broken = tmp_path / "v" / "train" / "cross sliding sideways" / "001.mp4"
    store = tmp_path / "s.zarr"
    assert run(["scan", str(store), str(tmp_path / "v"), "--dataset", "d"]) == 0
    broken.write_bytes(b"not a video")
    assert run(call(store, tmp_path / "o", "--json")) == 3
    captured = capsys.readouterr()
    (skipped,) = json.loads(captured.out[captured.out.index("{") :])["skipped"]
    assert "001.mp4" in skipped
    assert f"skipped: {skipped}" in captured.err
    finished = json.loads((tmp_path / "o" / "finished.json").read_text())
    assert finished["skipped"] == [skipped]
    # Three videos in one step of an epoch: two of them are read.
    assert [row.split(",")[6] for row in (tmp_path / "o" / "log.csv").read_text().split()] == [
        *("num_views", "2", "2")
    ]


def test_of_several_processes_the_first_alone_speaks(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(RunFolder, "skipped", lambda _: ["1.mp4: gone"])
    assert run(call(store, tmp_path / "o")) == 0
    capsys.readouterr()
    alone = contextlib.nullcontext((Processes(), torch.device("cpu")))
    monkeypatch.setattr("vifistore.training.run.joined", lambda _: alone)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert run(call(store, tmp_path / "o", "--json")) == 0
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("RANK", "0")
    assert run(call(store, tmp_path / "o", "--json")) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == ["1.mp4: gone"]
    monkeypatch.delenv("WORLD_SIZE")
    assert run(call(store, tmp_path / "o")) == 3


def test_a_checkpoint_trains_on_and_keeps_its_line(store, tmp_path, capsys):
    assert run(call(store, tmp_path / "first", "--trains", "image")) == 0
    weights = str(tmp_path / "first" / "step-00000004.safetensors")
    further = ("--image-prompts", "2", "--image-depth", "2", "--text-prompts", "2")
    arguments = call(store, tmp_path / "second", *further, "--text-depth", "2")
    arguments[1] = "prompt_few_shot"
    arguments[arguments.index("none")] = weights
    assert run(arguments) == 0
    first, second = (
        json.loads((tmp_path / name / "step-00000004.json").read_text())
        for name in ("first", "second")
    )
    assert second["parent"] == first["digest"]
    assert second["step"] == first["step"] + 4
    capsys.readouterr()


def arguments_of(preset: str, *further: str) -> TrainArguments:
    required = ["s", "--dataset", "d", "--model", "m", "--pretrained", "p", "--out", "o"]
    return _parse(preset, [*required, *further])


@pytest.mark.parametrize("preset", PRESETS)
def test_settings_are_those_of_the_preset(preset):
    assert arguments_of(preset).settings == PRESETS[preset](dataset="d")
    exact = arguments_of(preset, "--paper-exact").settings
    assert exact == PRESETS[preset](dataset="d", paper_exact=True)


def test_any_field_can_be_given_another_value():
    wanted = arguments_of("few_shot", "--shots", "4", "--fusion", "image", "--no-mixing")
    expected = replace(PRESETS["few_shot"](shots=4), fusion="image", mixing=False)
    assert wanted.settings == expected
    assert arguments_of("few_shot", "--compile").options.compile


def test_fewer_epochs_alone_shrink_the_warmup(caplog):
    caplog.set_level("INFO", "vifi")
    assert arguments_of("few_shot", "--epochs", "2").settings.warmup_epochs == pytest.approx(0.2)
    assert "a warm-up of 5 epochs does not fit into 2: it takes 0.2" in caplog.text
    caplog.clear()
    assert arguments_of("few_shot", "--epochs", "6").settings.warmup_epochs == 5.0
    exact = arguments_of("few_shot", "--epochs", "5", "--paper-exact").settings
    assert exact.warmup_epochs == pytest.approx(0.5)
    with pytest.raises(UsageError, match=r"warmup_epochs is 3\.0; give from 0 to below epochs=2"):
        arguments_of("few_shot", "--epochs", "2", "--warmup-epochs=3")


def test_all_frames_of_a_set_are_trained_on(store, tmp_path, capsys):
    copy = tmp_path / "s.zarr"
    shutil.copytree(store, copy)
    model = ("--model", "vifi-tiny", "--pretrained", "none", "--precision", "fp32")
    extract = ["extract", str(copy), "--dataset", "d", *model, "--frames", "3", "--name", "three"]
    assert run([*extract, "--device", "cpu", "--workers", "1"]) == 0
    words = call(copy, tmp_path / "o", "--from-store", "three", "--trains", "text", "--no-mixing")
    for flag in ("--frames", "--candidate-frames"):
        at = words.index(flag)
        del words[at : at + 2]
    assert run(words) == 0
    assert "three has 3 frames per video, and all are trained on" in capsys.readouterr().err
    kept = json.loads((tmp_path / "o" / "run.json").read_text())
    assert kept["settings"]["num_frames"] == 3
    assert run([*words, "--num-frames", "4"]) == 2
    error = capsys.readouterr().err
    assert "--num-frames is called --frames now" in error
    assert "feature set three has 3 frames per video; give --frames 3 or fewer" in error


def test_help_tells_what_to_expect(capsys):
    with pytest.raises(SystemExit):
        run(["train", "--help"])
    said = capsys.readouterr().out
    assert all(preset in said for preset in PRESETS)
    with pytest.raises(SystemExit):
        run(["train", "base_to_novel", "--help"])
    said = capsys.readouterr().out
    assert "Expected (base/novel): K400" in said
    assert "--learning-rate" in said


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (("--extract-every", "often"), "give checkpoint or a number of steps"),
        (("--extract-dataset", "d"), "need --extract-every"),
        (("--extract-every", "2", "--checkpoint-every", "3"), "exclude each other"),
        (("--frame-cache", "cache", "--candidate-frames", "0"), "--candidate-frames 4"),
        (("--from-store", "x"), "unknown feature set"),
        (("--split", "x"), "unknown split"),
        (("--name", "my run"), "cannot name the checkpoints of a run; give a --name"),
        (("--device", "cuda:99"), "--device is 'cuda:99'"),
        (("--weight-decay", "-1"), "weight_decay is -1.0; give 0 or more"),
        (("--frames", "70000", "--candidate-frames", "0"), "num_frames is 70000; give 65535"),
        (("--candidate-frames", "99999999999"), "candidate_frames is 99999999999; give 65535"),
        (("--seed", "-1"), "seed is -1; give 0 or more"),
        (("--frame-cache-gb", "nan"), "frame_cache_gb is nan"),
        (("--timeout", "nan"), "timeout is nan"),
        (("--extract-every", "2", "--extract-with=--framse 2"), "see vifi watch --help"),
        (("--extract-every", "2", "--extract-with=--once"), "give one of them"),
        (("--extract-every", "2", "--extract-with='"), "close what is open in it"),
        (("--extract-every", "2", "--extract-dataset", "x"), "unknown dataset 'x'"),
    ],
)
def test_wrong_calls_end_in_one_line(store, tmp_path, capsys, further, words):
    arguments = call(store, tmp_path / "o", *further)
    if "--candidate-frames" in further:
        at = arguments.index("--candidate-frames")
        del arguments[at : at + 2]
    assert run(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words in said
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("below", ["", "sub/o"])
def test_a_file_in_the_place_of_the_folder_is_told(store, tmp_path, capsys, below):
    (tmp_path / "o").write_text("mine")
    assert run(call(store, tmp_path / "o" / below)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{tmp_path / 'o'} is no folder; give another --out" in said


ALL_WRONG = (
    *("--trains", "prompts", "--in-memory", "--flip", "0.5", "--mixing", "--grayscale", "2"),
    *("--image-prompts", "0", "--text-depth", "9", "--weight-decay", "-1"),
)


def test_all_that_is_wrong_is_told_at_once_before_torch_is_there(store, tmp_path):
    words = call(store, tmp_path / "o", *ALL_WRONG, preset="prompt_few_shot")
    program = (
        "import sys; from vifi.__main__ import run; code = run(sys.argv[1:]); "
        "print({'torch', 'open_clip'} & sys.modules.keys(), code)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)
    assert done.stdout.strip() == "set() 2"
    (line,) = done.stderr.strip().splitlines()
    assert len(line) < 400
    assert line.startswith("vifi: 5 things are wrong: (1) weight_decay is -1.0; give 0 or more.")
    assert "(2) grayscale is 2.0; give from 0 to 1." in line
    assert "(3) crops and colours are changed on decoded frames" in line
    assert line.endswith("(and 2 more)")
    assert not (tmp_path / "o").exists()


def test_nothing_is_decoded_before_another_run_in_the_folder_is_refused(
    store, tmp_path, capsys, monkeypatch
):
    memory = ("--in-memory", "--crop-scales", "--jitter", "0", "--grayscale", "0")
    assert run(call(store, tmp_path / "o", *memory)) == 0
    monkeypatch.setattr("vifistore.training.run.in_memory", None)
    assert run(call(store, tmp_path / "o", *memory)) == 0
    assert run(call(store, tmp_path / "o", *memory, "--seed", "7")) == 2
    assert "holds another run, whose settings is seed=1024 and not 7" in capsys.readouterr().err


def test_a_split_has_to_be_named_where_there_are_some(store, tmp_path, capsys):
    copy = tmp_path / "s.zarr"
    shutil.copytree(store, copy)
    videos = store.parent / "videos"
    added = ["scan", copy, videos, "--dataset", "d", "--append", "--split", "train"]
    assert run([str(word) for word in added]) == 0
    assert run(call(copy, tmp_path / "o")) == 2
    said = capsys.readouterr().err
    assert "d has the split train; name the one to train on with --split, or all its" in said
    # `all` is what no split was before there were any: a stopped run goes on.
    assert run(call(store, tmp_path / "o")) == 0
    assert run(call(copy, tmp_path / "o", "--split", "all")) == 0
    assert "4 steps" in capsys.readouterr().out


HOLDER = """
import sys, time
from pathlib import Path
from vifistore.training.folder_lock import only_trainer

with only_trainer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_where_another_process_trains(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(following, "_start", None)
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "o")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        # Before a follower is started, too.
        assert run(call(store, tmp_path / "o", "--extract-every", "2")) == 1
        holder.kill()
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"is being written by process {holder.pid} on" in said
    assert [path.name for path in (tmp_path / "o").iterdir()] == [".lock"]


def test_processes_that_train_together_do_not_refuse_each_other(store, tmp_path, monkeypatch):
    """Each looking for the moment that it has the folder would find another one looking."""
    looked = []
    monkeypatch.setattr("vifi.verbs.train.refuse_second", looked.append)

    def far_enough(*_: object) -> None:
        raise UsageError("far enough")

    monkeypatch.setattr("vifi.verbs.train._run", far_enough)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, expected in (("1", []), ("0", [tmp_path / "o"])):
        monkeypatch.setenv("RANK", rank)
        assert run(call(store, tmp_path / "o")) == 2
        assert looked == expected


def test_an_unknown_preset(capsys):
    assert run(["train", "few_shots", "s"]) == 2
    assert "Did you mean 'few_shot'?" in capsys.readouterr().err


@pytest.mark.slow
def test_every_checkpoint_is_extracted_while_training_goes_on(store, tmp_path, capfd):
    with_ = "--frames 2 --decoder pyav --precision fp32 --workers 1 --poll 0.2"
    further = ("--extract-every", "2", f"--extract-with={with_}", "--json")
    assert run(call(store, tmp_path / "followed", *further)) == 0
    captured = capfd.readouterr()
    # What the follower says is no part of the document.
    assert json.loads(captured.out)["step"] == 4
    assert "step-00000004.safetensors" in captured.err
    opened = open_store(store)
    names = {name for c in opened.checkpoints() for name in c["names"]}
    assert {"followed@step-2", "followed@step-4"} <= names
    (last,) = (c for c in opened.checkpoints() if "followed@step-4" in c["names"])
    features = [opened.features("d", name) for name in opened.dataset("d").feature_ids()]
    assert last["image_digest"] in [f.recipe["image_digest"] for f in features if f.sealed]
    capfd.readouterr()


def fake(monkeypatch, program: str) -> None:
    """Let the follower be a small program instead."""

    def start(*_: object) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", program], preexec_fn=following._end_with_parent
        )

    monkeypatch.setattr(following, "_start", start)


def test_a_follower_that_fails_is_told_of(monkeypatch, tmp_path):
    fake(monkeypatch, "raise SystemExit(1)")
    options = FollowOptions(extract_every="checkpoint", extract_with="--frames 2 --name 'a b'")
    with (
        pytest.raises(
            IncompleteError, match=r"vifi watch .*o .*s --dataset d --frames 2 --name 'a b' --once"
        ),
        follower(options, tmp_path / "o", str(tmp_path / "s"), "d"),
    ):
        pass


def test_a_training_that_fails_takes_its_follower_along(monkeypatch, tmp_path):
    fake(monkeypatch, "import time; time.sleep(60)")
    options = FollowOptions(extract_every="checkpoint")
    start = time.monotonic()
    with (
        pytest.raises(UsageError, match="wrong"),
        follower(options, tmp_path / "o", str(tmp_path / "s"), "d"),
    ):
        raise UsageError("wrong")
    assert time.monotonic() - start < 30


KILLED = """
import os, subprocess, sys
from vifistore.training.follower import _end_with_parent

child = subprocess.Popen(["sleep", "60"], preexec_fn=_end_with_parent, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the follower looks for its trainer")
def test_a_trainer_that_is_killed_takes_its_follower_along():
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    assert done.returncode == -9
    state = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(100):
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    raise AssertionError("the follower lives on")
