"""Rows that are stretches of one file widen every interval to that of files."""

import numpy as np
import pytest

from harness.class_tables import class_tables
from harness.comparison import compare
from harness.levers.wanted_levers import Levers
from harness.measuring import Scoring
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.zero_shot import zero_shot
from harness.retrieval.evaluation import retrieval
from harness.statistics import bootstrap_mean
from harness.summaries import summary_rows
from vifi.scoring.scored_rows import covered_by
from vifistore.store.dataset import write_captions, write_videos

PARTS, FILES = 6, 24
ROWS = PARTS * FILES


@pytest.fixture
def maker(make_store):
    """24 files in six stretches each that look alike: rows r, r + 24, ... are of one file."""
    maker = make_store(num_videos=ROWS)
    videos = maker.store.videos("toy")
    numbers = np.arange(ROWS)
    videos = videos.assign(
        path=[f"film{row % FILES}.mp4" for row in numbers],
        start_seconds=numbers // FILES * 10.0,
        end_seconds=numbers // FILES * 10.0 + 10,
    )
    dataset = maker.store.dataset("toy")
    write_videos(dataset, videos, maker.class_names, "/videos", anew=True)
    for name, noise in (("good", 0.8), ("bad", 3.0)):
        frames = maker.frames(noise=noise)[:FILES]
        maker.features(np.tile(frames, (PARTS, 1, 1, 1)), name=name, checkpoint=name)
        maker.texts(name)
    first = numbers[numbers < FILES]
    maker.split("one_each", first)
    for name, half in (("base_val", maker.labels < 3), ("novel_val", maker.labels >= 3)):
        names = maker.class_names[:3] if name == "base_val" else maker.class_names[3:]
        rows = np.flatnonzero(half)
        maker.split(name, rows, maker.labels[rows] % 3, names)
        maker.split(f"one_{name}", rows[rows < FILES], maker.labels[rows[rows < FILES]] % 3, names)
    return maker


@pytest.fixture
def bad(maker):
    return maker.store.features("toy", "bad")


def widths(rows):
    return {
        (row.metric, row.subset): row.ci_high - row.ci_low for row in rows if row.ci_low is not None
    }


def assert_alike(of_stretches, of_files):
    found, expected = widths(of_stretches), widths(of_files)
    assert found
    assert found.keys() == expected.keys()
    for name, width in expected.items():
        assert found[name] == pytest.approx(width, rel=0.12), name


def test_accuracy(bad):
    settings = Scoring(folds=4000)
    rows, of_files = (zero_shot(bad, (split,), settings) for split in ("all", "one_each"))
    assert_alike(rows, of_files)
    assert {row.provenance["files"] for row in rows} == {FILES}
    assert "files" not in of_files[0].provenance
    assert covered_by(rows[0]) == f"{ROWS} videos of {FILES} files, 6 classes"
    # Over splits that are whole videos or stretches, files are added up.
    (mean, _) = summary_rows([rows[:1], of_files[:1]], "splits")
    assert (mean.num_videos, mean.provenance["files"]) == (ROWS + FILES, 2 * FILES)
    (mean, _) = summary_rows([of_files[:1], rows[:1]], "splits")
    assert mean.provenance["files"] == 2 * FILES


def test_classes_of_the_page(bad):
    kept = []
    for split in ("all", "one_each"):
        zero_shot(bad, (split,), Scoring(keep=kept.append))
    found, of_files = (class_tables(scored).per_class for scored in kept)
    assert found["value"].tolist() == pytest.approx(of_files["value"].tolist())
    # Four files a class: an interval of 24 videos would be half as wide.
    width = (found["ci_high"] - found["ci_low"]).sum()
    assert width == pytest.approx((of_files["ci_high"] - of_files["ci_low"]).sum(), rel=0.1)


def test_base_to_novel(bad):
    names = {"base_split": "one_base_val", "novel_split": "one_novel_val"}
    rows, of_files = (
        base_to_novel([bad], settings=BaseToNovel(folds=4000, **given)) for given in ({}, names)
    )
    assert_alike(rows, of_files)


def test_comparisons(maker, bad):
    good = maker.store.features("toy", "good")
    (found,), (of_files,) = (compare(good, bad, split) for split in ("all", "one_each"))
    assert found.comparison.difference == pytest.approx(of_files.comparison.difference)
    assert found.comparison.low == pytest.approx(of_files.comparison.low, abs=0.03)
    assert found.comparison.p_value == pytest.approx(of_files.comparison.p_value, abs=0.01)


def test_captions(maker, bad):
    dataset = maker.store.dataset("toy")
    texts = [maker.class_names[label] for label in maker.labels]
    write_captions(dataset, list(enumerate(texts)))
    rows = retrieval(bad, "all", Scoring(folds=2000))
    (recall,) = [row for row in rows if row.metric == "t2v_recall_at_5"]
    # A caption finds its class: whole files are right or wrong together, but for ties.
    alone = bootstrap_mean(np.arange(ROWS) < recall.value * ROWS, 2000)
    assert recall.ci_high - recall.ci_low > 1.5 * (alone.high - alone.low)


def test_levers_are_compared_by_files(bad):
    settings = Scoring(levers=Levers(names=("frames-by-text",)))
    of_stretches, of_files = (
        [row for row in zero_shot(bad, (split,), settings) if row.lever]
        for split in ("all", "one_each")
    )
    assert "top1_minus_plain" in {row.metric for row in of_files}
    assert_alike(of_stretches, of_files)


def test_groups_of_clips_widen_intervals_as_files_do(make_store):
    """Names of UCF101 tell groups; the row says how many sources there were, and of what."""
    maker = make_store(num_videos=ROWS)
    paths = [f"v_Run_g{row % FILES:02d}_c{row // FILES:02d}.avi" for row in range(ROWS)]
    videos = maker.store.videos("toy").assign(path=paths)
    write_videos(maker.store.dataset("toy"), videos, maker.class_names, "/videos", anew=True)
    maker.features(np.tile(maker.frames(noise=3.0)[:FILES], (PARTS, 1, 1, 1)), name="tiny")
    maker.texts()
    maker.split("one_each", np.arange(FILES))
    features = maker.store.features("toy", "tiny")
    rows, of_files = (zero_shot(features, (split,)) for split in ("all", "one_each"))
    assert widths(rows)["top1", "all"] == pytest.approx(widths(of_files)["top1", "all"])
    assert (rows[0].provenance["sources"], rows[0].provenance["source"]) == (FILES, "UCF group")
    assert "files" not in rows[0].provenance
    assert covered_by(rows[0]) == f"{ROWS} videos, 6 classes, {FILES} sources by UCF group"
    assert "sources" not in of_files[0].provenance
