"""A file that was trained on is known by each of its parts, a leak by the times that overlap."""

import numpy as np
import pytest

from harness.leaks import copies_between, neighbours_between, warnings_of
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_videos
from harness.zero_shot_claims import claim_of
from tests.support import block_data, plain_recipe, video_table
from vifistore.store.dataset import write_videos
from vifistore.store.identity import Identity, TunedOn, packed
from vifistore.store.names import set_name
from vifistore.store.splits import Split, write_split
from vifistore.store.store import create_store
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.training.heads.head_data import read_head_data
from vifistore.training.training_split import _embeddings

CLASSES = ["run", "jump"]
FILES = ["a" * 64, "b" * 64]
WHOLE = (0.0, np.nan)
# Of each of two files: itself, three parts and the last again.
STRETCHES = [WHOLE, (0.0, 2.0), (1.5, 4.0), (4.0, np.nan), (4.0, np.nan)] * 2


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """Rows 0 to 4 are of one file, 5 to 9 of another."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    starts, ends = zip(*STRETCHES, strict=True)
    videos = video_table(10, CLASSES).assign(start_seconds=starts, end_seconds=ends)
    store = create_store(tmp_path / "s.zarr")
    write_videos(store.new_dataset("d"), videos, CLASSES, "/videos")
    return store.dataset("d")


@pytest.fixture
def scored(dataset):
    """Call with what a checkpoint was tuned on, and the rows to score."""

    def call(identity: Identity, rows):
        features = embedded(dataset, identity)
        return load_videos(features, split(dataset, "test", rows).name)

    return call


@pytest.fixture
def texts(dataset):
    """Text embeddings of the classes."""
    fields = {"text_digest": "t", "logit_scale": 20.0, "class_names": CLASSES}
    fields |= {"templates": ["{}"], "context_length": 12, "precision": "fp32"}
    dataset.store.add_texts(fields, np.random.default_rng(0).normal(size=(2, 1, 8)))


def embedded(dataset, identity=None):
    """A sealed set under the name `mine`."""
    checkpoint = {"name": "m", "model": "tiny", "config": {}, "weights_path": "", "parent": ""}
    digests = {"image_digest": "i", "text_digest": "t", "logit_scale": 20.0}
    of_run = {"step": 0, "settings": {"kind": "trained"}}
    digest = dataset.store.add_checkpoint({**checkpoint, **digests, **of_run}, identity)
    shape = Shape(video=10, view=1, frame=4, dim=8)
    writer = FeatureWriter(dataset, plain_recipe("i").as_dict(), shape, {"host": "t"})
    data = block_data(np.random.default_rng(0).normal(size=(10, 1, 4, 8)))
    data["content_digest"] = np.repeat(np.array(FILES, object), 5)
    writer.write_block(0, list(range(10)), data)
    writer.seal()
    set_name(dataset, "mine", writer.id, digest, force=True)
    writer.release()
    return dataset.features("mine")


def split(dataset, name, rows):
    rows = np.array(rows)
    labels = (rows % 2).astype(np.int32)
    made = Split(name=name, rows=rows, labels=labels, class_names=CLASSES, source="", digest="")
    write_split(dataset, made)
    return made


def tuned(digests) -> Identity:
    return Identity(tuned_on=(TunedOn(dataset="other", split="train", videos=packed(digests)),))


def test_parts_of_a_file_that_was_trained_on_are_not_zero_shot(scored):
    videos = scored(tuned(FILES[:1]), [1, 3, 6])
    assert claim_of(videos).shared_videos == 2
    assert any("was tuned on 2 of the 3 videos" in line for line in warnings_of(videos))


def test_nor_is_a_file_of_which_a_part_was_trained_on(scored, dataset, texts):
    part = split(dataset, "part", [1, 2])
    digests = read_head_data(embedded(dataset), part).digests
    videos = scored(tuned(digests), [0, 4, 5])
    row = zero_shot(videos.features, ("test",))[0]
    assert (row.protocol, row.provenance["shared_videos"]) == ("tuned", 2)


def test_a_training_on_cached_frames_names_files(dataset, monkeypatch):
    monkeypatch.setattr(
        "vifistore.training.training_split._require_same_tower", lambda features, start: None
    )
    made = split(dataset, "part", [1, 8])
    data = _embeddings(embedded(dataset), made, start=None, settings=_Still())
    assert data.digests == {0: FILES[0], 1: FILES[1]}


class _Still:
    changes_pixels = False


def test_headers_that_name_a_stretch_are_known(scored, dataset):
    key = dataset.content_keys(np.array(FILES[:1], object), np.array([1]))
    assert claim_of(scored(tuned(key), [0, 1, 2, 6])).shared_videos == 1


@pytest.mark.parametrize(
    ("train", "test", "found"),
    [
        ([0], [1, 2, 3, 6], [1, 2, 3]),
        ([1, 7], [0, 5], [0, 5]),
        ([1], [2, 3], [2]),
        # They touch, and share no frame.
        ([2], [3, 4], []),
        ([3], [4, 8], [4]),
    ],
    ids=["parts of a whole", "wholes of parts", "overlap", "touch", "the same twice"],
)
def test_a_leak_is_what_overlaps_in_time(dataset, train, test, found):
    features = embedded(dataset)
    sides = [load_videos(features, split(dataset, *s).name) for s in (("a", train), ("b", test))]
    assert copies_between(*sides).tolist() == found


def test_other_stretches_of_files_that_are_trained_on_are_told(dataset):
    features = embedded(dataset)
    train, test = (
        load_videos(features, split(dataset, *s).name)
        for s in (("a", [1, 7]), ("b", [2, 3, 4, 5, 8, 9]))
    )
    # Of row 1, 0-2, row 2 is a copy in part; 5 is the whole of row 7.
    assert copies_between(train, test).tolist() == [2, 5]
    assert neighbours_between(train, test).tolist() == [3, 4, 8, 9]
    lines = [line for line in warnings_of(test, train=train) if "other stretches" in line]
    assert [line.partition(" (")[0] for line in lines] == [
        "4 of 6 videos of b are other stretches of files of a"
    ]
    other = load_videos(features, split(dataset, "c", [6]).name)
    assert neighbours_between(load_videos(features, split(dataset, "e", [0]).name), other).size == 0


def test_of_unread_files_nothing_overlaps(dataset, monkeypatch):
    features = embedded(dataset)
    sides = [load_videos(features, split(dataset, *s).name) for s in (("a", [0]), ("b", [1]))]
    monkeypatch.setattr(
        type(features), "content_digests", lambda self, rows: np.array([""] * len(rows), object)
    )
    assert copies_between(*sides).tolist() == []


def test_other_stretches_of_files_stand_in_the_row(dataset, texts):
    features = embedded(dataset)
    split(dataset, "a", [1, 8])
    split(dataset, "b", [3, 4, 6])
    split(dataset, "c", [1])
    settings = FewShot(train_split="a", shots=(1,), classifier="prototype")
    told = few_shot(features, "b", settings)[0].provenance
    assert told["num_test_copies_in_train"] == 0
    assert told["num_test_stretches_of_train_files"] == 3
    levers = Levers(names=("temperature",), validation_split="a")
    rows = zero_shot(features, ("b",), Scoring(levers=levers))
    (row,) = (row for row in rows if (row.lever, row.metric) == ("temperature", "top1"))
    assert row.provenance["lifted"]["stretches_of_scored_files"] == 2
    # Of the other file nothing is scored.
    levers = Levers(names=("temperature",), validation_split="c")
    split(dataset, "d", [6, 9])
    row = zero_shot(features, ("d",), Scoring(levers=levers))[-1]
    assert "stretches_of_scored_files" not in row.provenance["lifted"]
