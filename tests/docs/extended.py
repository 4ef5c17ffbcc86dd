"""Uses what docs/EXTENDING.md adds, in a process that has the changed code; see test_extending.py.

python tests/docs/extended.py WORLD       # folder that the test has made
"""

import sys
from pathlib import Path

import numpy as np

import vifistore
from harness.fusion import fuse_frames, unit
from harness.levers.wanted_levers import Levers
from harness.link import Link
from harness.measuring import Scoring
from harness.retrieval.moments.proposals import propose
from harness.shortcuts import evaluate
from harness.softmax import softmax
from harness.timelines import ScoreCurve
from vifi.__main__ import run
from vifistore.frames.decoders.decoding import decode_video, decoder_version
from vifistore.store import open_store
from vifistore.training.options import RunOptions
from vifistore.training.presets import PRESETS
from vifistore.videos.listing import read_source

world = Path(sys.argv[1])
assert Path(vifistore.__file__).is_relative_to(Path.cwd()), vifistore.__file__

# A fusion, and a metric.
generator = np.random.default_rng(0)
frames = generator.normal(size=(2, 1, 5, 8))
classes = unit(generator.normal(size=(3, 8)))
cosines = np.median(unit(frames) @ classes.T, axis=2)
found = fuse_frames(["median-cosine"], frames, classes, Link(20.0))["median-cosine"]
np.testing.assert_allclose(found, softmax(20 * cosines).sum(axis=1), rtol=1e-3)
features = open_store(world / "S.zarr").features("toy", "tiny")
scores = evaluate(features, settings=Scoring(fusions=("median-cosine",), folds=50))
values = scores.set_index("metric")["value"]
assert values["top1"] < values["mrr"] < 1

# A lever.
lifted = Scoring(levers=Levers(names=("even-classes",)), folds=50)
scores = evaluate(features, settings=lifted)
assert {"", "even-classes"} == set(scores["lever"])

# A rule for moments.
planted = ScoreCurve(
    times=np.arange(9) + 0.5,
    cosines=np.where((np.arange(9) > 2) & (np.arange(9) < 5), 0.3, 0.1)[None],
    rows=np.zeros(9, np.int64),
    begins=np.arange(9.0),
    ends=np.arange(9.0) + 1,
)
assert [moment[:2] for moment in propose("deviations", planted)] == [(3.0, 5.0)]

# A dataset.
listing = read_source(world / "lists")
assert sorted(listing.paths) == ["test_run.mp4", "train_jump.mp4", "train_run.mp4"]
assert listing.class_names == ["jump", "run"]
assert {name: len(split.rows) for name, split in listing.splits.items()} == {"train": 2, "test": 1}

# A decoder.
video = decode_video(world / "greys.gif", frames=5, clips=1, decoder="animation")
assert video.frames[:, 0, 0, 0].tolist() == [0, 50, 100, 150, 200]
np.testing.assert_allclose(video.timestamps[0], [0, 0.1, 0.2, 0.3, 0.4], atol=1e-6)
assert decoder_version("animation")
assert RunOptions(decoder="animation").decoder == "animation"

# A preset of training.
assert PRESETS["one_epoch"](dataset="ucf101").epochs == 1

# A protocol, by the command line.
words = ["evaluate", str(world / "S.zarr"), "single-frame", "--dataset", "toy", "--json"]
assert run(words) == 0
