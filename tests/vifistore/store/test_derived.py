"""Derived sets: made of a parent's frames by a head, known by both, and never stale unnoticed."""

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from harness.fusion import ARRAY_OF_FUSION
from harness.scoring import load_classes, load_videos, score
from tests.support import block_data
from tests.vifistore.store.conftest import NUM_VIDEOS, frames_of, write_all
from tests.vifistore.store.processes import in_child, is_status, kill_at
from vifi.__main__ import run
from vifistore.errors import IncompleteError, ModelError, UsageError
from vifistore.store import open_store
from vifistore.store.derived import write_derived
from vifistore.store.features import Features
from vifistore.store.recipe import recipe_id
from vifistore.store.removing.garbage import find_garbage
from vifistore.store.schema import DONE
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter, Shape

HEAD = {"digest": "ab12", "kind": "last-frame", "settings": {"epochs": 3}}


def last_frame(frames: np.ndarray) -> np.ndarray:
    """A head without weights: twice the last frame and a constant, one dimension more."""
    views = 2 * frames[:, :, -1]
    return np.concatenate([views, np.ones_like(views[..., :1])], axis=-1)


def derive(
    path: Path, *, head: dict = HEAD, apply=last_frame, name: str = "start+last"
) -> Features:
    """Derive a set from the one of the store at `path`."""
    store = open_store(path, mode="a")
    return write_derived(store.features("d", "start"), head=head, apply=apply, name=name)


def problems(path: Path) -> list[str]:
    """What verify says of the store."""
    return [problem.what for problem in verify_store(open_store(path))]


def test_a_derived_set_holds_what_the_head_gives(whole):
    features = derive(whole)
    parent = open_store(whole).features("d", "start")
    assert features.recipe == {"parent": parent.id, "head": "ab12"}
    assert features.id == recipe_id(features.recipe)
    assert (features.parent, features.head) == (parent.id, HEAD)
    assert features.source_recipe == parent.recipe == parent.source_recipe
    assert (parent.parent, parent.head) == ("", None)
    assert features.sealed["rows"] == NUM_VIDEOS
    assert features.frames is None
    assert features.checkpoint == parent.checkpoint
    done = features.read_status() == DONE
    np.testing.assert_array_equal(features.read_status(), parent.read_status())
    expected = last_frame(parent.read("frames").astype(np.float32))
    mean, consensus = features.read("view_mean"), features.read("view_consensus")
    np.testing.assert_array_equal(mean[done], expected[done])
    np.testing.assert_allclose(np.linalg.norm(consensus[done], axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(
        consensus[done] * np.linalg.norm(mean[done], axis=-1, keepdims=True), mean[done], rtol=1e-5
    )
    assert np.isnan(mean[~done]).all()
    assert features.quarantine() == parent.quarantine() != []
    assert problems(whole) == []


def test_the_head_gets_every_block_at_full_length_and_nothing_quarantined(whole):
    seen = []

    def look(frames):
        seen.append(frames.copy())
        return last_frame(frames)

    derive(whole, apply=look)
    assert {frames.shape for frames in seen} == {(64, 1, 4, 8)}
    assert all(np.isfinite(frames).all() for frames in seen)
    assert {frames.dtype for frames in seen} == {np.dtype(np.float32)}


def test_another_head_or_parent_is_another_set(whole):
    first = derive(whole)
    other = derive(whole, head={**HEAD, "digest": "cd34"}, name="other")
    assert first.id != other.id
    again = derive(whole)
    assert again.id == first.id
    assert again.sealed == first.sealed
    with pytest.raises(UsageError, match="already stands for"):
        derive(whole, head={**HEAD, "digest": "ef56"})


def grow(path: Path, num_videos: int) -> None:
    """Add videos to the parent."""
    write_all(open_store(path, mode="a"), num_videos).seal()


def test_growth_computes_only_what_is_new(whole):
    before = derive(whole)
    mean = before.read("view_mean")
    grow(whole, 200)
    calls = []

    def counted(frames):
        calls.append(len(frames))
        return last_frame(frames)

    after = derive(whole, apply=counted)
    assert (after.id, after.sealed["rows"]) == (before.id, 200)
    np.testing.assert_array_equal(after.read("view_mean", 0, NUM_VIDEOS), mean)
    # One to learn the dimension, then the blocks with new rows.
    assert len(calls) == 1 + 3
    assert problems(whole) == []
    derive(whole, apply=counted)
    assert len(calls) == 1 + 3 + 1


def retry(path: Path) -> None:
    """The quarantined video of the parent can be read after all."""
    store = open_store(path, mode="a")
    recipe = store.features("d", "start").recipe
    writer = FeatureWriter(
        store.dataset("d"), recipe, Shape(video=NUM_VIDEOS, view=1, frame=4, dim=8), {}
    )
    writer.unseal()
    data = block_data(frames_of(4)[3:])
    writer.write_block(0, [3], {**data, "content_digest": np.array(["new"], object)})
    writer.seal()
    writer.release()


def test_a_parent_that_changed_is_noticed_and_followed(whole):
    before = derive(whole)
    mean = before.read("view_mean")
    retry(whole)
    assert [what for what in problems(whole) if "has changed since it was made" in what]
    after = derive(whole)
    assert problems(whole) == []
    assert after.read_status()[3] == DONE
    assert np.isfinite(after.read("view_mean")[3]).all()
    others = np.arange(NUM_VIDEOS) != 3
    np.testing.assert_array_equal(after.read("view_mean")[others], mean[others])


def test_a_derivation_that_is_killed_goes_on(whole, tmp_path):
    undisturbed = Path(shutil.copytree(whole, tmp_path / "u.zarr"))
    expected = derive(undisturbed)

    def doomed() -> None:
        kill_at("named", 1, is_status)
        derive(whole)

    assert in_child(doomed) == signal.SIGKILL
    features = open_store(whole).features("d", expected.id)
    with pytest.raises(IncompleteError, match="make it of its parent again"):
        features.require_sealed()
    assert derive(whole).sealed == expected.sealed
    assert [what for what in problems(whole) if "no array names" not in what] == []


def test_fusions_that_need_frames_say_so(whole):
    derive(whole, apply=lambda frames: frames[:, :, -1])
    store = open_store(whole)
    videos = load_videos(store.features("d", "start+last"), "test")
    classes = load_classes(videos.features, videos.class_names)
    scores = score(videos, classes, ["embedding", "decision"])
    assert all(np.isfinite(values).all() for values in scores.values())
    needs = [fusion for fusion, array in ARRAY_OF_FUSION.items() if array == "frames"]
    with pytest.raises(UsageError, match="has no frames; use one that was extracted"):
        score(videos, classes, needs)


def test_a_derived_set_has_its_name_before_its_locks_are_released(whole, monkeypatch):
    named = []
    release = FeatureWriter.release

    def look(writer):
        named.append("start+last" in open_store(whole).backend.children("names/d"))
        release(writer)

    monkeypatch.setattr(FeatureWriter, "release", look)
    derive(whole)
    assert named == [True]


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        (lambda frames: frames, "give one that makes"),
        (lambda frames: frames[:10, :, 0], "give one that makes"),
        (lambda frames: np.full((64, 1, 3), np.nan), "not finite"),
    ],
)
def test_what_the_head_gives_is_checked(whole, apply, words):
    with pytest.raises(ModelError, match=words):
        derive(whole, apply=apply)
    assert "start+last" not in open_store(whole).backend.children("names/d")


def test_what_cannot_be_a_parent_or_a_head(whole):
    derive(whole)
    store = open_store(whole, mode="a")
    with pytest.raises(UsageError, match="has no frames"):
        write_derived(store.features("d", "start+last"), head=HEAD, apply=last_frame, name="x")
    with pytest.raises(UsageError, match="no digest"):
        derive(whole, head={"kind": "x"})
    attributes = store.backend.attributes(path := store.features("d", "start").path)
    store.backend.make_group(path, {**attributes, "sealed": None})
    with pytest.raises(IncompleteError, match="is not sealed"):
        derive(whole)


EDITS = [
    (lambda a: a["head"].update(digest="00"), "head it names"),
    (lambda a: a.pop("head"), "head it names"),
    (lambda a: a["parent_recipe"].update(frames=7), "is another's"),
    (lambda a: a["recipe"].update(head="00"), "digest of its recipe"),
]


@pytest.mark.parametrize(("change", "words"), EDITS)
def test_verify_reads_what_it_says_of_itself(whole, change, words):
    path = whole / derive(whole).path / "zarr.json"
    document = json.loads(path.read_text())
    change(document["attributes"])
    path.write_text(json.dumps(document))
    assert any(words in what for what in problems(whole))


def test_verify_finds_views_that_do_not_fit_each_other(whole):
    features = derive(whole)
    backend = open_store(whole, mode="a").backend
    values = features.read("view_consensus")
    values[66] *= 1.01
    backend.write_rows(0, {f"{features.path}/view_consensus": values})
    assert any("not what the means give (first: row 66)" in what for what in problems(whole))


def test_a_named_derived_set_keeps_its_parent(whole):
    features = derive(whole)
    shutil.rmtree(whole / "names" / "d" / "start")
    assert find_garbage(open_store(whole)) == []
    shutil.rmtree(whole / "names" / "d" / "start+last")
    assert {garbage.where for garbage in find_garbage(open_store(whole))} == {
        features.path,
        f"features/d/{features.parent}",
    }


def test_info_tells_of_it(whole, capsys):
    features = derive(whole)
    assert run(["info", str(whole), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["datasets"]["d"]["features"]
    (entry,) = [entry for entry in found if entry["id"] == features.id]
    assert entry["recipe"] == {"parent": features.parent, "head": "ab12"}
    assert run(["info", str(whole), "--lineage", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["features"]
    assert (entry["parent_names"], entry["head"]) == (["start"], HEAD)
    assert run(["info", str(whole), "--lineage"]) == 0
    said = capsys.readouterr().out
    assert (
        f"features d {features.id} (start+last): from start; digest ab12, kind last-frame" in said
    )


@pytest.mark.parametrize("kind", ["zarr", "hdf5"])
def test_export_brings_or_names_the_parent(whole, tmp_path, kind):
    features = derive(whole)
    out, target = tmp_path / "out", tmp_path / "t.zarr"
    arguments = ("--dataset", "d", "--format", kind)
    exported = ["export", str(whole), *arguments, "--features", "start+last", "--out", str(out)]
    # A video is quarantined.
    assert run(exported) == 3
    assert run(["import", str(target), str(out), *arguments]) == 3
    copied = open_store(target).features("d", "start+last")
    assert (copied.id, copied.recipe, copied.head) == (features.id, features.recipe, HEAD)
    assert copied.source_recipe == features.source_recipe
    assert copied.sealed == features.sealed
    np.testing.assert_array_equal(copied.read("view_mean"), features.read("view_mean"))
    ids = open_store(target).dataset("d").feature_ids()
    assert (features.parent in ids) == (kind == "zarr")
    assert problems(target) == []
