"""With --full every system of the paper is trained, extracted and scored in the tiny world."""

import dataclasses
from pathlib import Path

import pytest

from harness.results import read_rows
from tests.vifi.demo.test_story import TINY, told
from vifi.demo.systems import TRAINED
from vifi.demo.tuning import VANILLA
from vifistore.store import open_store

pytestmark = pytest.mark.slow

FULL = dataclasses.replace(TINY, extras=True, train_clips=4, shots=2, few_shot_epochs=2)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    return told(tmp_path_factory.mktemp("full") / "out", "tests.vifi.demo.test_systems", "FULL")


@pytest.mark.parametrize(
    ("protocol", "suffix", "untrained"),
    [("zero-shot", "", ()), ("few-shot", "-k2", ()), ("base-to-novel", "-base", (VANILLA,))],
)
def test_every_system_has_rows_of_its_own(out, protocol, suffix, untrained):
    rows = [
        row
        for row in read_rows(out)
        if row.provenance.get("asked_protocol", row.protocol) in (protocol, "tuned")
        and row.classifier == "text"
    ]
    named = {name for row in rows for name in row.feature_names}
    assert {name + suffix for name in (*TRAINED, "a5")} | {*untrained} <= named


def test_novel_classes_are_scored_apart(out):
    subsets = {row.subset for row in read_rows(out) if row.protocol == "base-to-novel"}
    assert {"base", "novel", "joint"} <= subsets


def test_the_page_shows_them_beside_each_other(out):
    for table in ("zero-shot", "few-shot", "base-to-novel"):
        text = (out / f"{table}.md").read_text(encoding="utf-8")
        assert all(name in text for name in (*TRAINED, "a5")), table


def test_training_and_test_clips_are_of_one_dataset(out):
    dataset = open_store(out / "store.zarr").dataset("shapes")
    counts = {name: len(dataset.split(name).rows) for name in ("train", "test")}
    assert sum(counts.values()) == dataset.num_videos == 4 * (4 + 3)
