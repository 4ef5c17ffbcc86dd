"""A score on what a checkpoint was tuned on is never called zero-shot, whatever asked for it."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from harness.ablations import frames_ablation, fusion_matrix
from harness.comparison import compare
from harness.leaks import warnings_of
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.supervised import supervised
from harness.protocols.zero_shot import zero_shot
from harness.results import append_rows, from_record, read_rows, to_record
from harness.scoring import load_videos
from harness.zero_shot_claims import claim_of
from vifistore.store.identity import Identity, TunedOn, packed

DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(60)]
NAMES = tuple(f"class {number}" for number in range(6))


def tuned(dataset: str, rows=(), split: str = "train", names=NAMES) -> Identity:
    videos = packed(DIGESTS[row] for row in rows)
    entry = TunedOn(dataset=dataset, split=split, class_names=tuple(names), videos=videos)
    return Identity(tuned_on=(entry,))


@pytest.fixture
def maker(make_store):
    """60 videos, 0-29 train, 30-59 val, and a set of a checkpoint that nothing is known of."""
    maker = make_store(num_videos=60)
    maker.features(maker.frames(), digests=DIGESTS)
    maker.texts()
    maker.split("train", range(30))
    maker.split("val", range(30, 60))
    return maker


@pytest.fixture
def add(maker):
    """Add the features of a checkpoint of this identity."""

    def call(name: str, identity: Identity, **settings) -> str:
        checkpoint = {"checkpoint": name, "identity": identity, **settings}
        maker.features(maker.frames(seed=3), name=name, digests=DIGESTS, **checkpoint)
        maker.texts(name)
        return name

    return call


def only(rows, metric: str = "top1"):
    (found,) = [row for row in rows if row.metric == metric]
    return found


@pytest.mark.parametrize(
    ("identity", "protocol", "named", "shared"),
    [
        (Identity(), "zero-shot", "", None),
        (tuned("k400", range(5)), "zero-shot", "", 0),
        (tuned("toy", range(30)), "tuned", "toy/train", 0),
        # Whatever it is called elsewhere, the videos are the same.
        (tuned("ucf", range(25, 40)), "tuned", "ucf/train", 10),
        (tuned("toy"), "tuned", "toy/train", 0),
    ],
    ids=["unknown", "elsewhere", "dataset", "videos", "dataset alone"],
)
def test_what_is_zero_shot(maker, add, identity, protocol, named, shared):
    name = add("one", identity)
    row = only(zero_shot(maker.store.features("toy", name), ("val",)))
    assert (row.protocol, row.tuned_on) == (protocol, named)
    assert row.provenance.get("shared_videos") == shared
    assert row.asked_protocol == "zero-shot"


def test_its_own_training_videos_are_counted(maker, add):
    add("one", tuned("elsewhere", range(30)))
    row = only(zero_shot(maker.store.features("toy", "one"), ("train",)))
    assert (row.protocol, row.provenance["shared_videos"]) == ("tuned", 30)
    (entry,) = row.provenance["tuned_on"]
    expected = {"dataset": "elsewhere", "split": "train", "videos": 30, "shared_videos": 30}
    assert entry == {**expected, "shared_class_names": 6}
    videos = load_videos(maker.store.features("toy", "one"), "train")
    (line,) = warnings_of(videos)
    assert line.startswith("one was tuned on 30 of the 30 videos of train (elsewhere/train): ")
    everything = load_videos(maker.store.features("toy", "one"), "all")
    assert "30 of the 60 videos of all" in warnings_of(everything)[0]


def test_shared_class_names_are_counted_and_end_nothing(maker, add):
    add("one", tuned("k400", range(3), names=["Class_0", "class 5", "other"]))
    row = only(zero_shot(maker.store.features("toy", "one"), ("val",)))
    assert (row.protocol, row.provenance["shared_class_names"]) == ("zero-shot", 2)
    assert row.provenance["shared_videos"] == 0


def test_a_chain_of_trainings_is_held_against_the_videos_as_a_whole(maker, add):
    first, second = tuned("k400", range(50, 60)).tuned_on[0], tuned("hmdb", range(40, 52))
    add("one", replace(second, tuned_on=(first, *second.tuned_on)))
    row = only(zero_shot(maker.store.features("toy", "one"), ("val",)))
    assert row.tuned_on == "k400/train, hmdb/train"
    # Two of them are in both.
    assert row.provenance["shared_videos"] == 20
    assert [entry["shared_videos"] for entry in row.provenance["tuned_on"]] == [10, 12]


def test_a_head_of_an_older_version_is_known_by_its_split(maker, add):
    add("one", Identity(), head="a5", trained_on={"dataset": "toy", "split": "train", "videos": 30})
    maker.split("both", range(20, 40))
    claim = claim_of(load_videos(maker.store.features("toy", "one"), "both"))
    assert (claim.tuned_on, claim.shared_videos) == ("toy/train", 10)
    assert only(zero_shot(maker.store.features("toy", "one"), ("val",))).protocol == "tuned"


def test_other_protocols_keep_their_names(maker, add):
    rows = np.arange(60)
    add("one", tuned("toy", range(30)))
    learned = [row for row in range(30) if maker.labels[row] < 4]
    add("half", tuned("toy", learned, "base_train", NAMES[:4]))
    maker.split("base_train", learned, class_names=maker.class_names[:4])
    maker.split("base_val", rows[maker.labels < 4], class_names=maker.class_names[:4])
    novel = rows[maker.labels >= 4]
    maker.split("novel_val", novel, maker.labels[novel] - 4, maker.class_names[4:])
    for half in (maker.class_names[:4], maker.class_names[4:]):
        maker.texts("half", class_names=half)
    store = maker.store
    found = [
        *base_to_novel([store.features("toy", "half")], (), BaseToNovel(joint=False)),
        *few_shot(store.features("toy", "one"), "val", FewShot(shots=(5,))),
        *supervised(store.features("toy", "one"), "val"),
        *fusion_matrix([store.features("toy", "one")], "val"),
        *frames_ablation(store.features("toy", "one"), (2,), "val"),
    ]
    assert {row.protocol for row in found} == {
        *("base-to-novel", "few-shot", "supervised", "ablation-fusion", "ablation-frames"),
    }
    assert {row.tuned_on for row in found} == {"toy/train", "toy/base_train"}
    for subset, shared in {"base": len(learned), "novel": 0}.items():
        (top1,) = [r for r in found if (r.subset, r.metric) == (subset, "top1")]
        assert top1.provenance["shared_videos"] == shared


def test_a_mean_over_splits_is_zero_shot_only_if_all_are(maker, add):
    add("one", tuned("other", range(30, 36)))
    maker.split("val2", range(36, 60))
    rows = zero_shot(maker.store.features("toy", "one"), ("val", "val2"))
    top1 = [row for row in rows if row.metric == "top1"]
    assert [row.protocol for row in top1] == ["tuned", "zero-shot", "tuned"]
    assert (top1[2].tuned_on, top1[2].provenance["shared_videos"]) == ("other/train", 6)
    assert top1[2].provenance["tuned_on"] == [{"dataset": "other", "split": "train"}]


def test_a_tuned_set_is_compared_with_one_that_is_not(maker, add):
    add("one", tuned("toy", range(30)))
    (found,) = compare(
        maker.store.features("toy", "one"), maker.store.features("toy", "tiny"), "val"
    )
    assert (found.row.protocol, found.other.protocol) == ("tuned", "zero-shot")


def test_a_row_that_was_called_zero_shot_before_is_replaced(maker, add, tmp_path):
    add("one", tuned("toy", range(30)))
    row = only(zero_shot(maker.store.features("toy", "one"), ("val",)))
    before = {**to_record(row), "protocol": "zero-shot"}
    del before["tuned_on"]
    old = from_record(before)
    assert (old.tuned_on, old.key) == ("", row.key)
    append_rows(tmp_path / "out", [old, row])
    assert [found.protocol for found in read_rows(tmp_path / "out")] == ["tuned"]


def test_what_differs_from_the_training_is_in_the_row(maker, add):
    pixels = {"family": "paper", "size": 32}
    identity = Identity(
        preprocessing=pixels,
        templates=("a photo of a {}.",),
        cleaning="words",
        sampling={"rule": "segment-centre", "frames": 8},
        assumed=("activation",),
    )
    add("one", identity)
    row = only(zero_shot(maker.store.features("toy", "one"), ("val",)))
    assert row.provenance["not_as_trained"] == {
        "preprocessing": "openclip, trained with paper",
        "frames": "4, trained with 8",
        "template": "“{}”, trained with “a photo of a {}.”",
    }
    assert row.provenance["assumed"] == ["activation"]
    assert (
        not {"not_as_trained", "assumed"}
        & only(zero_shot(maker.store.features("toy", "tiny"), ("val",))).provenance.keys()
    )
