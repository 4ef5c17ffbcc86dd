"""Rows that are stretches are trained on by the frames of their times, whoever reads them."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vifistore.frames.conftest import NUM_FRAMES, write_video
from tests.vifistore.training.test_videos import CPU, OPTIONS, SETTINGS, TOWER
from vifi.__main__ import run
from vifi.demo.clips import draw_clip, write_mp4
from vifistore.extract.extract_settings import EncodeSettings
from vifistore.extract.trainer_frames import READS, trainer_of
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.plans import Span
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.frames.sampling import sample_training_indices
from vifistore.models.towers import load_model
from vifistore.sources.footage import LocalFile
from vifistore.store import open_store
from vifistore.store.splits import count_videos
from vifistore.training.frame_reading import kept_by_steps
from vifistore.training.order import Draws, Order, stream
from vifistore.training.training_split import open_training_set
from vifistore.training.videos import VideoSource

# Of 40 frames at 25 a second: which ones lie in each stretch.
STRETCHES = {Span(0.0, 0.4): range(10), Span(0.4, 1.0): range(10, 25), Span(1.2): range(30, 40)}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.mark.parametrize("has_cache", [False, True], ids=["decoded", "cached"])
@pytest.mark.parametrize("candidates", [6, 0])
def test_frames_are_those_of_the_times(film, tmp_path, candidates, has_cache):
    settings = replace(SETTINGS, candidate_frames=candidates, batch_size=3)
    cache = tmp_path / "frames" if has_cache and candidates else None
    source = VideoSource(
        files=[LocalFile(film)] * 3,
        spans=list(STRETCHES),
        targets=torch.eye(3),
        preprocessing=preprocessing_of("openclip", TOWER, 1),
        options=replace(OPTIONS, frame_cache=cache),
    )
    everything = decode_video(film, frames=NUM_FRAMES, clips=1, decoder="pyav").frames
    batches = Order(num_videos=3, settings=settings).step(0)
    for _ in range(2):
        (views,) = source.views(iter(batches), settings, CPU)
        for row, frames in zip(views.rows, views.frames, strict=True):
            numbers = list(STRETCHES.values())[row]
            rng = stream(Draws.FRAMES, settings.seed, 0, row)
            if candidates:
                # The middles of equal parts of the stretch.
                middles = [int((2 * i + 1) * len(numbers) / 12) for i in range(6)]
                chosen = np.array(numbers)[middles][sample_training_indices(6, 3, rng)]
            else:
                chosen = np.array(numbers)[sample_training_indices(len(numbers), 3, rng)]
            wanted = torch.from_numpy(everything[chosen])
            assert torch.equal(frames, preprocess(wanted, source.preprocessing, 1)[0])


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films of each of two classes, cut into four stretches each, and a draw of one film."""
    folder = tmp_path_factory.mktemp("films")
    for label in ("cross sliding sideways", "circle growing and shrinking"):
        for number in range(2):
            frames = draw_clip(label, split="train", number=number, seed=0)
            path = folder / "v" / label / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_mp4(path, np.concatenate([frames] * 4))
    scan = ("scan", str(folder / "s.zarr"), str(folder / "v"), "--dataset", "d")
    drawn = ("--split", "train", "--few-shot", "train", "--shots", "1")
    assert run([*scan, "--window", "2", *drawn]) == 0
    return folder / "s.zarr"


def train(store: Path, out: Path, *further: str) -> list[str]:
    return [
        *("train", "few_shot", str(store), "--dataset", "d", "--model", "vifi-tiny"),
        *("--pretrained", "none", "--out", str(out), "--frames", "2", "--batch-size", "4"),
        *("--epochs", "1", "--warmup-epochs", "0", "--decoder", "pyav", "--workers", "1"),
        *further,
    ]


def test_few_shots_are_films_with_all_their_stretches(scanned, tmp_path, capsys):
    dataset = open_store(scanned).dataset("d")
    drawn, every = dataset.split("train_few_shot_1"), dataset.split("train")
    assert len(drawn.rows) > 2
    assert count_videos(dataset, drawn).tolist() == [1, 1]
    assert count_videos(dataset, every).tolist() == [2, 2]
    shots = ("--split", "train_few_shot_1", "--shots", "1")
    assert run(train(scanned, tmp_path / "o", *shots)) == 0
    header = json.loads(next((tmp_path / "o").glob("step-*.json")).read_text())
    (told,) = header["tuned_on"]
    assert (told["split"], told["num_videos"]) == ("train_few_shot_1", 2)
    assert run(train(scanned, tmp_path / "p", "--split", "train", "--shots", "1")) == 2
    assert "has 2 videos of" in capsys.readouterr().err


def test_a_run_goes_on_with_the_same_stretches_alone(scanned):
    dataset, start = open_store(scanned).dataset("d"), load_model("vifi-tiny", "none")
    settings = replace(SETTINGS, batch_size=2)
    first, again, fewer = (
        open_training_set(dataset, name, start, settings, OPTIONS)
        for name in ("train", "train", "train_few_shot_1")
    )
    assert first.data == again.data
    assert len(first.source.spans) == len(dataset.split("train").rows)
    assert fewer.data["stretches"] != first.data["stretches"]


def test_a_follower_shares_the_stretches_that_are_read_as_well(scanned, tmp_path):
    store = open_store(scanned)
    dataset, drawn = store.dataset("d"), store.dataset("d").split("train_few_shot_1")
    kept = asdict(kept_by_steps(preprocessing_of("openclip", TOWER, 1), SETTINGS))
    said = {"dataset": "d", "split": drawn.name, "decoder": "pyav", "kept": kept}
    (tmp_path / READS).write_text(json.dumps(said))
    encode = EncodeSettings(decoder="pyav", frame_cache=tmp_path / "frames")
    found = trainer_of(tmp_path, dataset, encode)
    assert found.rows == set(drawn.rows.tolist())
    assert len(found.rows) < dataset.num_videos
