"""`vifi ablate`: one command, a table per ablation, among them the paper's Table 5."""

import json

import numpy as np
import pytest

from harness.results import read_rows
from tests.harness.conftest import _arrays, planted_store
from tests.support import plain_recipe
from vifi.__main__ import run
from vifistore.store.feature_record import FRAME_COUNTS
from vifistore.store.names import set_name
from vifistore.store.schema import DONE
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.store.zarr_format.block_ranges import num_blocks

AXES = ("video", "view", "frame", "dim")


@pytest.fixture
def maker(tmp_path, monkeypatch):
    """Checkpoints tuned with each fusion of the paper, and one that never was."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    maker = planted_store(tmp_path)
    for seed, fusion in enumerate(("", "embedding", "decision", "image")):
        name = f"tuned-{fusion}" if fusion else "vanilla"
        frames = maker.frames(num_views=2, num_frames=4 + seed, noise=3.0)
        maker.features(frames, name=name, checkpoint=name, fusion=fusion)
        maker.texts(name)
    return maker


@pytest.fixture
def ablate(maker, tmp_path, capsys):
    """Call with flags; returns exit code, standard output and the last line of the errors."""

    def call(*flags):
        code = run([str(word) for word in ["ablate", tmp_path / "S.zarr", "--dataset", *flags]])
        said = capsys.readouterr()
        return code, said.out, (said.err.strip().splitlines() or [""])[-1]

    return call


NAMES = ("vanilla", "tuned-embedding", "tuned-decision", "tuned-image")


def test_one_command_gives_the_matrix_whose_diagonal_is_table_5(ablate, tmp_path):
    code, said, _ = ablate("toy", "--features", *NAMES, "--results", tmp_path / "out")
    assert code == 0
    table = [line for line in said.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in table[2:]] == [
        "| vanilla",
        "| embedding (tuned-embedding)",
        "| decision (tuned-decision)",
        "| image (tuned-image)",
    ]
    assert "Table 5 lacks" not in said
    rows = read_rows(tmp_path / "out")
    assert len([row for row in rows if row.metric == "top1"]) == 12
    code, said, _ = ablate("toy", "--features", *NAMES[:3])
    assert "Table 5 lacks image fusion: tune a checkpoint with `vifi train" in said


def test_every_ablation_has_its_rows_and_none_overwrites_another(ablate, maker, tmp_path):
    maker.texts("vanilla", templates=("a {}", "the {}"))
    maker.texts("vanilla", templates=("a {}",))
    maker.texts("vanilla", templates=("the {}",))
    subsets = ("--frames", "1", "2", "4", "--num-views", "1", "2")
    fusions = ("--fusion", "embedding", "max", "top-2", "attention")
    templates = ("--template", "a {}", "--template", "the {}")
    results = ("--results", tmp_path / "out")
    code, said, _ = ablate(
        *("toy", "--features", "vanilla"), *subsets, *fusions, *templates, *results, "--json"
    )
    assert code == 0
    rows = json.loads(said)["rows"]
    counts = {}
    for row in rows:
        if row["metric"] == "top1":
            counts[row["protocol"]] = counts.get(row["protocol"], 0) + 1
    assert counts == {
        "ablation-fusion": 4,
        "ablation-frames": 12,
        "ablation-views": 8,
        "ablation-templates": 12,
    }
    assert len(read_rows(tmp_path / "out")) == len(rows)


def test_a_set_without_frames_is_scored_as_far_as_it_goes(ablate, maker):
    features = maker.store.features("toy", "vanilla")
    (maker.store.backend.folder / features.path / "frames" / "zarr.json").unlink()
    code, said, error = ablate("toy", "--features", "vanilla")
    assert code == 0
    assert "scored with decision" in said
    assert "scored with image" not in said
    assert error == "vanilla has no frames, its means alone are stored: image fusion is left out"
    for flags in (("--fusion", "image"), ("--num-frames", "1")):
        code, _, error = ablate("toy", "--features", "vanilla", *flags)
        assert code == 2
        assert "vanilla of toy has no frames; use one that was extracted from videos" in error


def test_a_set_that_pads_views_is_scored_as_far_as_it_goes(ablate, maker):
    frames = maker.frames(num_frames=3)
    frames[:, :, 2] = 0
    dataset, lengths = maker.store.dataset("toy"), dict(zip(AXES, frames.shape, strict=True))
    further = {"num_valid": FRAME_COUNTS}
    recipe = plain_recipe("image of vanilla", frames=3).as_dict()
    writer = FeatureWriter(dataset, recipe, Shape(**lengths), {"host": "here"}, further=further)
    arrays = _arrays(frames + np.float16(1e-3), np.full(len(frames), DONE, np.uint8))
    arrays |= {"frames": frames, "num_valid": np.full((len(frames), 1), 2, np.uint16)}
    for block in range(num_blocks(len(frames))):
        rows = list(writer.block_rows(block))
        writer.write_block(block, rows, {key: arrays[key][rows] for key in arrays})
    writer.seal()
    set_name(dataset, "padded", writer.id, maker.checkpoint("vanilla"), force=True)
    code, said, _ = ablate("toy", "--features", "padded")
    assert code == 0
    assert "scored with decision" in said
    assert "scored with image" in said
    # A frame that only pads would be refused as damage.
    assert ablate("toy", "--features", "padded", "--fusion", "image")[0] == 0


def test_all_that_is_wrong_with_flags_is_told_before_anything_is_scored(ablate, tmp_path):
    flags = ("--fusion", "sum", "--template", "a photo of {} and {}", "--results", tmp_path / "out")
    code, _, error = ablate("toy", "--features", "vanilla", *flags)
    assert code == 2
    assert "unknown fusion 'sum'" in error
    assert "a photo of {} and {}" in error
    assert not (tmp_path / "out").exists()


def test_several_datasets_take_one_split_or_one_each(ablate, maker):
    maker.split("a", range(30))
    maker.split("b", range(30, 60))
    code, said, _ = ablate("toy", "toy", "--features", "vanilla", "--split", "a", "b", "--json")
    assert code == 0
    assert {row["split"] for row in json.loads(said)["rows"]} == {"a", "b"}
    code, _, error = ablate("toy", "--features", "vanilla", "--split", "a", "b")
    assert (code, error) == (
        2,
        "vifi: 1 datasets and 2 splits; give one --split for all, or one for each",
    )


def test_an_id_that_several_checkpoints_share_asks_for_a_name(ablate, maker):
    features = maker.store.features("toy", "vanilla")
    other = maker.checkpoint("other")
    set_name(maker.store.dataset("toy"), "other", features.id, other, force=False)
    code, _, error = ablate("toy", "--features", features.id)
    assert code == 2
    assert "score it by one of its names: other, vanilla" in error


def test_videos_that_may_have_been_trained_on_are_told_once(ablate, maker):
    maker.split("train1", range(40))
    maker.split("val1", range(40, 70))
    code, said, error = ablate("toy", "--features", "vanilla")
    assert (code, said) == (2, "")
    assert "toy has the splits train1, val1; name the one to score with --split" in error
    code, _, error = ablate("toy", "--features", "vanilla", "tuned-image", "--split", "all")
    assert code == 0
    assert error == (
        "all shares videos with training splits (40 with train1): a checkpoint that was tuned on "
        "one of these is to be scored on another split"
    )
    assert ablate("toy", "--features", "vanilla", "--split", "val1")[2] == ""


def test_blends_of_sets_without_frames_are_scored_as_far_as_they_go(ablate, maker):
    start = maker.checkpoint("start")
    for number, kind in enumerate(("trained", "blend-0.5")):
        frames = maker.frames(num_frames=9 + number)
        maker.features(frames, name=kind, checkpoint=kind, parent=start, step=3, kind=kind)
        maker.texts(kind)
        features = maker.store.features("toy", kind)
        (maker.store.backend.folder / features.path / "frames" / "zarr.json").unlink()
    code, said, _ = ablate("toy", "--features", "trained", "blend-0.5", "--json")
    assert code == 0
    blends = [row for row in json.loads(said)["rows"] if row["protocol"] == "ablation-blend"]
    assert {row["fusion"] for row in blends} == {"embedding", "decision"}
    assert {row["provenance"]["blend"] for row in blends} == {0.5, 1.0}


def test_its_rows_are_compared_video_by_video(ablate, said, maker, tmp_path):
    out = tmp_path / "out"
    flags = ("--frames", "1", "2", "--results", out)
    assert ablate("toy", "--features", "vanilla", "tuned-image", *flags)[0] == 0
    code, told, _ = said("compare", "vanilla", "tuned-image", "--results", out, "--format", "json")
    assert code == 0
    rows = [row for row in json.loads(told)["rows"] if row["metric"] == "top1"]
    assert len([row for row in rows if not row["class"]]) == 3 + 2 * 3
    assert all(row["paired"] for row in rows)


def test_each_by_its_own_fusion_against_one(ablate, maker, tmp_path):
    out = tmp_path / "out"
    flags = ("--fusion", "max", "--against", "tuned-embedding", "--results", out)
    code, told, _ = ablate("toy", "--features", *NAMES, *flags)
    assert code == 0
    lines = [line for line in told.splitlines() if "tuned-embedding" in line and " points" in line]
    assert len(lines) == 3
    found = {r.feature_names[0]: r for r in read_rows(out) if "_minus_" in r.metric}
    # None is compared with itself.
    assert {name: row.fusion for name, row in found.items()} == {
        "vanilla": "embedding",
        "tuned-decision": "decision",
        "tuned-image": "image",
    }
    assert {row.metric for row in found.values()} == {"top1_minus_tuned-embedding"}
    assert ablate("toy", "--features", *NAMES, "--results", out)[0] == 0
    top1 = {
        (row.feature_names[0], row.fusion): row.value
        for row in read_rows(out)
        if row.metric == "top1"
    }
    base = top1["tuned-embedding", "embedding"]
    for name, row in found.items():
        assert row.value == pytest.approx(top1[name, row.fusion] - base)
        assert row.provenance["against_fusion"] == "embedding"
        assert row.provenance["p_value"] <= 1
    code, _, error = ablate("toy", "--features", *NAMES, "--against", "vanilla", "tuned-image")
    assert code == 2
    assert "--against names 2 feature sets and --features 4; give one for all" in error
