"""What is removed goes whole; what is needed, or being written, stays; no kill leaves it half."""

import errno
import os
import shutil
import time

import pytest

from tests.support import plain_recipe
from tests.vifistore.store.conftest import SHAPE, make_whole_store
from tests.vifistore.store.processes import end, held, holding, start
from vifi.__main__ import run
from vifistore.errors import LockedError, UnknownNameError, UsageError
from vifistore.store import open_store
from vifistore.store.derived import write_derived
from vifistore.store.key_value.locks import BlockLocks
from vifistore.store.names import set_name
from vifistore.store.removing import removal
from vifistore.store.removing.garbage import delete_garbage, find_garbage
from vifistore.store.removing.removable import removals, remove_all, with_names
from vifistore.store.splits import write_split
from vifistore.store.verifying.verify import verify_store
from vifistore.store.writer import FeatureWriter


@pytest.fixture
def store(whole):
    return open_store(whole, mode="a")


def asked(store, *what):
    return {removal.where: removal.needed_by for removal in removals(store, what)}


def remove(store, *what):
    remove_all(store, removals(store, what))
    assert list(verify_store(store)) == []


def derive(store, name="pooled"):
    head = {"digest": "e" * 64, "kind": "mean"}
    return write_derived(
        store.features("d", "start"), head=head, apply=lambda frames: frames.mean(axis=2), name=name
    )


def test_everything_can_be_asked_for_in_a_few_ways(store):
    start = store.features("d", "start").id
    text = next(iter(store.find_texts()))["id"]
    named = {"names/d/start": [], f"features/d/{start}": []}
    for what in ("d/start", "features/d/start", "features/d/start/"):
        assert asked(store, what) == named
    for what in (f"d/{start}", f"features/d/{start}"):
        assert asked(store, what) == {f"features/d/{start}": ["its name start"]}
    for what in ("d/test", "splits/d/test"):
        assert asked(store, what) == {"splits/d/test": []}
    for what in (text, f"texts/{text}"):
        assert asked(store, what) == {f"texts/{text}": []}
    assert asked(store, "names/d/start", "captions/d") == {"names/d/start": [], "captions/d": []}
    whole = {f"{kind}/d": [] for kind in ("names", "features", "splits", "captions", "videos")}
    for what in (("d",), ("videos/d",), ("d/start", "d")):
        assert list(asked(store, *what)) == list(whole)
    for what in (
        "e",
        "d/nothing",
        "splits/d",
        "splits/d/test/rows",
        "names/d/x",
        "texts/x",
    ):
        with pytest.raises(UnknownNameError):
            removals(store, [what])
    set_name(store.dataset("d"), "test", start, store.features("d", "start").checkpoint, force=True)
    with pytest.raises(UsageError, match="give splits/d/test or features/d/test"):
        removals(store, ["d/test"])


def test_what_is_removed_is_gone_and_the_rest_is_well(store):
    start = store.features("d", "start")
    size = sum(
        path.stat().st_size for path in (store.path / start.path).rglob("*") if path.is_file()
    )
    assert {r.where: r.size_bytes for r in removals(store, ["d/start"])}[start.path] == size
    remove(store, "captions/d", "d/test")
    assert store.dataset("d").splits() == []
    assert not len(store.dataset("d").captions())
    remove(store, "d/start")
    assert store.dataset("d").feature_ids() == []
    assert find_garbage(store) == []
    remove(store, "d")
    assert store.datasets() == []
    assert store.find_texts()
    # The same dataset can be made anew, with nothing of before.
    other = make_whole_store(store.path.with_name("other.zarr")).path
    shutil.copytree(other / "videos", store.path / "videos", dirs_exist_ok=True)
    assert (store.dataset("d").splits(), store.dataset("d").feature_ids()) == ([], [])


def test_a_set_with_another_name_or_derived_sets_is_needed(store):
    start = store.features("d", "start")
    derive(store)
    set_name(store.dataset("d"), "alias", start.id, start.checkpoint, force=False)
    needs = ["its name alias", "pooled, derived from it"]
    assert asked(store, "d/start")[start.path] == needs
    assert asked(store, "d/start", "d/pooled")[start.path] == needs[:1]
    found = with_names(store, removals(store, ["d/start"]))
    assert {removal.where for removal in found} == {"names/d/start", "names/d/alias", start.path}
    remove_all(store, found)
    assert store.features("d", "pooled").parent == start.id


def test_a_split_that_a_head_was_trained_on_is_needed(store):
    (digest,) = store.backend.children("checkpoints")
    attributes = store.backend.attributes(f"checkpoints/{digest}")
    split = {"dataset": "d", "split": "test"}
    for told in ({"settings": {"trained_on": split}}, {"tuned_on": [split]}):
        store.backend.make_group(f"checkpoints/{digest}", {**attributes, **told})
        assert asked(store, "d/test") == {"splits/d/test": ["checkpoint start, trained on it"]}


@pytest.mark.parametrize(
    "what",
    ["..", ".", "", "../d", "splits/../videos", "names/../features", "d/..", "texts/..", "d//test"],
)
def test_a_path_that_climbs_names_nothing(store, what):
    with pytest.raises(UsageError, match="names nothing in a store"):
        removals(store, [what])


def test_a_name_that_leads_out_of_its_store_removes_nothing(store, tmp_path, capsys):
    """Anything may be written in a store that came from elsewhere."""
    other = make_whole_store(tmp_path / "other.zarr")
    (feature_id,) = other.dataset("d").feature_ids()
    away = f"../../../other.zarr/features/d/{feature_id}"
    set_name(store.dataset("d"), "away", away, "", force=False)
    assert run(["rm", str(store.path), "d/away", "--yes"]) == 1
    assert "is no id of a feature set; run: vifi verify" in capsys.readouterr().err
    assert other.features("d", feature_id).sealed
    told = {problem.where: problem.what for problem in verify_store(store)}
    assert told == {"names/d/away": f"it stands for features/d/{away}, which is not there"}


def test_a_set_that_is_being_sealed_goes_afterwards(store, whole):
    """Else sealing would make its group again, without any array."""
    (feature_id,) = store.dataset("d").feature_ids()
    pid, _ = holding(lambda: BlockLocks(store.backend.cache_folder, "d", feature_id).turn())
    remover = start(lambda: remove_all(open_store(whole, mode="a"), removals(store, ["d/start"])))
    time.sleep(0.3)
    there = store.dataset("d").feature_ids()
    end(pid)
    assert there == [feature_id]
    assert os.waitpid(remover, 0)[1] == 0
    assert store.dataset("d").feature_ids() == []


def test_what_is_being_written_stays(store, whole):
    pid, _ = held(whole, range(1, 2))
    try:
        for what in ("d/start", "d"):
            with pytest.raises(LockedError, match="is being written by process"):
                remove_all(store, removals(store, [what]))
        assert store.features("d", "start").sealed
    finally:
        end(pid)
    remove(store, "d/start")


def test_a_kill_leaves_nothing_half(store, monkeypatch):
    start = store.features("d", "start").path
    found = removals(store, ["d/start"])
    monkeypatch.setattr(removal, "clear_removed", stop)
    with pytest.raises(KeyboardInterrupt):
        remove_all(store, found)
    monkeypatch.undo()
    # The name is gone; the set is whole.
    assert store.backend.exists(start)
    assert not store.backend.children("names/d")
    assert list(verify_store(store)) == []
    monkeypatch.setattr(removal, "clear_removed", stop)
    with pytest.raises(KeyboardInterrupt):
        removal.remove_group(store.backend, start)
    monkeypatch.undo()
    assert not (store.path / start).exists()
    assert list(verify_store(store)) == []
    assert list((store.backend.cache_folder / "removed").iterdir())
    assert run(["gc", str(store.path), "--delete"]) == 0
    assert not (store.backend.cache_folder / "removed").exists()


def test_a_split_that_a_kill_cut_short_is_garbage_and_is_written_anew(store):
    old = store.dataset("d").split("test")
    # As zarr leaves a group above arrays that it has made.
    store.backend.make_group("splits/d/test", {})
    assert store.dataset("d").splits() == []
    (garbage,) = find_garbage(store)
    assert (garbage.where, garbage.what) == ("splits/d/test", "split cut short")
    write_split(store.dataset("d"), old)
    assert store.dataset("d").splits() == ["test"]
    assert list(verify_store(store)) == []


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def without_renames(monkeypatch):
    """As in an object store, or with a cache on another disk."""

    def rename(*paths):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(removal.os, "rename", rename)


@pytest.mark.usefixtures("without_renames")
def test_where_nothing_can_be_renamed_the_group_goes_first(store, monkeypatch):
    gone = []
    monkeypatch.setattr(store.backend.place, "remove", gone.append)
    removal.remove_group(store.backend, "splits/d/test")
    assert gone == ["splits/d/test/zarr.json", "splits/d/test/status", "splits/d/test"]
    monkeypatch.undo()


@pytest.mark.usefixtures("without_renames")
def test_what_a_kill_leaves_of_a_group_is_garbage_and_no_group(store, monkeypatch):
    start = store.features("d", "start").path
    (store.path / "names" / "d" / "start" / "zarr.json").unlink()
    (store.path / "names" / "d" / "start").rmdir()
    for path in (start, "splits/d/test"):
        (store.path / path / "zarr.json").unlink()
    found = {garbage.where: garbage for garbage in find_garbage(store)}
    assert {where: garbage.what for where, garbage in found.items()} == {
        start: "what a removal left",
        "splits/d/test": "what a removal left",
    }
    # A set of the same recipe begins with nothing done.
    writer = FeatureWriter(store.dataset("d"), plain_recipe().as_dict(), SHAPE, {"host": "test"})
    assert writer.path == start
    assert writer.todo_blocks() == [0, 1]
    writer.release()
    for path in (store.path / "splits").rglob("*"):
        os.utime(path, (1e9, 1e9))
    assert delete_garbage(store, found["splits/d/test"])
    assert not (store.path / "splits" / "d" / "test").exists()


def test_a_split_is_replaced_whole(store, monkeypatch):
    old = store.dataset("d").split("test")
    new = type(old)(**{**vars(old), "rows": old.rows[:9], "labels": old.labels[:9]})
    with pytest.raises(
        UsageError, match="exists with other rows; give another --split NAME, or --re"
    ):
        write_split(store.dataset("d"), new)
    monkeypatch.setattr(store.backend, "write_rows", stop)
    with pytest.raises(KeyboardInterrupt):
        write_split(store.dataset("d"), new, replace=True)
    monkeypatch.undo()
    assert "test" not in store.dataset("d").splits(), "neither the old one nor half of the new one"
    write_split(store.dataset("d"), new, replace=True)
    assert len(store.dataset("d").split("test").rows) == 9
    assert list(verify_store(store)) == []


def test_what_is_being_scanned_is_no_garbage(store, monkeypatch):
    other = open_store(store.path, mode="a")
    old, write_rows = store.dataset("d").split("test"), store.backend.write_rows
    new = type(old)(**{**vars(old), "name": "more"})

    def write_and_tidy(*arguments):
        write_rows(*arguments)
        assert [delete_garbage(other, garbage) for garbage in find_garbage(other)] in ([], [False])

    monkeypatch.setattr(store.backend, "write_rows", write_and_tidy)
    write_split(store.dataset("d"), new)
    assert store.dataset("d").splits() == ["more", "test"]
    assert list(verify_store(store)) == []


def test_what_is_told_of_a_list_is_replaced_with_it(store):
    whole = store.dataset("d").split("test")
    counts = {name: len(whole.rows) for name in whole.class_names}
    write_split(store.dataset("d"), type(whole)(**{**vars(whole), "listed": counts}))
    assert store.dataset("d").split("test").listed == counts
    write_split(store.dataset("d"), whole)
    assert store.dataset("d").split("test").listed == counts
    mended = type(whole)(**{**vars(whole), "source": "mended.csv"})
    write_split(store.dataset("d"), mended, replace=True)
    assert store.dataset("d").split("test").listed == {}
    assert store.dataset("d").split("test").source == "mended.csv"
