"""Chosen videos come with their ids and labels, in the order asked for."""

import numpy as np
import pytest

from tests.support import plain_recipe, write_features
from vifistore.errors import DamagedError, UnknownNameError, UsageError
from vifistore.store.key_value.storage import LocalStorage
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store

FRAMES = np.random.default_rng(0).normal(size=(130, 2, 4, 8)).astype(np.float16)


@pytest.fixture
def store(make_store) -> Store:
    store = make_store(140)
    writer = write_features(store, "d", plain_recipe(clips=2), FRAMES)
    writer.seal()
    split = Split(
        name="test1",
        rows=np.array([70, 3]),
        labels=np.array([1, 0], np.int32),
        class_names=["walk", "hop"],
        source="list.txt",
        digest="abc",
    )
    write_split(store.dataset("d"), split)
    return store


@pytest.fixture
def features(store):
    return store.features("d", store.dataset("d").feature_ids()[0])


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "rows", [[129, 3, 64, 3], [63, 64, 65], [9, 8, 4, 5, 5, 6, 71, 72, 70], [0], [], range(130)]
)
def test_rows(features, rows, verify):
    got = features.select(rows=rows, arrays=("frames", "view_mean", "reason"), verify=verify)
    rows = list(rows)
    assert got.rows.tolist() == rows
    assert got.ids.tolist() == [f"v{row}.mp4" for row in rows]
    assert got.labels.tolist() == [["run", "jump"][row % 2] for row in rows]
    np.testing.assert_array_equal(got.arrays["frames"], FRAMES[rows])
    np.testing.assert_array_equal(got.arrays["view_mean"], features.view_mean[:][rows])
    assert got.arrays["reason"].tolist() == [""] * len(rows)


def test_neighbours_that_stay_neighbours_are_one_range(store, features, monkeypatch):
    asked, plain = [], LocalStorage.read_ranges
    monkeypatch.setattr(
        LocalStorage,
        "read_ranges",
        lambda *call: (asked.append((call[1], len(call[2]))), plain(*call)),
    )
    rows = [*range(40, 90), 3, 5]
    got = features.read_chosen("frames", np.array(rows), verify=False)
    np.testing.assert_array_equal(got, FRAMES[rows])
    path = features.array_path("frames")
    assert sorted(asked) == [(f"{path}/c.0.0.0.0", 3), (f"{path}/c.1.0.0.0", 1)]


def test_ids_split_and_label(features):
    assert features.select(ids=["v9.mp4", "v2.mp4"]).rows.tolist() == [9, 2]
    split = features.select(split="test1", arrays=("frames",))
    assert (split.rows.tolist(), split.labels.tolist()) == ([70, 3], ["hop", "walk"])
    np.testing.assert_array_equal(split.arrays["frames"], FRAMES[[70, 3]])
    assert features.select(split="test1", label="walk").rows.tolist() == [3]
    assert features.select(label="jump").rows.tolist() == list(range(1, 130, 2))
    assert features.select(rows=[4, 5, 6], label="jump", arrays=()).ids.tolist() == ["v5.mp4"]
    assert (features.select().status == 1).all()


def test_a_video_that_the_split_does_not_label_has_no_label(store, features):
    split = Split(
        name="mixed",
        rows=np.array([5, 6]),
        labels=np.array([-1, 0], np.int32),
        class_names=["walk", "hop"],
        source="list.txt",
        digest="abc",
    )
    write_split(store.dataset("d"), split)
    assert features.select(split="mixed").labels.tolist() == ["", "walk"]


def test_what_is_not_there_is_said(features):
    with pytest.raises(UsageError, match="one of ids, split and rows"):
        features.select(ids=["v1.mp4"], split="test1")
    with pytest.raises(UsageError, match="row 130 of d is not among the 130 videos"):
        features.select(rows=[130])
    with pytest.raises(UsageError, match="row -1"):
        features.select(rows=[-1])
    for no_rows in (np.arange(130) < 3, [1.5], ["v1.mp4"]):
        with pytest.raises(UsageError, match="rows are whole numbers"):
            features.select(rows=no_rows)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'v12.mp4'\?"):
        features.select(ids=["v12.mp"])
    with pytest.raises(UnknownNameError, match="There are: hop, walk"):
        features.select(split="test1", label="jump")
    with pytest.raises(UsageError, match="has no nothing"):
        features.select(arrays=("nothing",))


def test_only_the_verified_way_notices_a_flipped_byte(store, features):
    file = store.path / features.path / "frames" / "c.1.0.0.0"
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(bytes(data))
    np.testing.assert_array_equal(
        features.select(rows=[66], arrays=("frames",), verify=False).arrays["frames"], FRAMES[[66]]
    )
    with pytest.raises(DamagedError, match="does not match its checksum; run: vifi verify"):
        features.select(rows=[66], arrays=("frames",))
    file.write_bytes(b"torn")
    with pytest.raises(DamagedError, match="too short"):
        features.select(rows=[66], arrays=("frames",), verify=False)
    file.unlink()
    for verify in (True, False):
        with pytest.raises(DamagedError, match="is gone; run: vifi verify"):
            features.select(rows=[66, 2], arrays=("frames",), verify=verify)
    with pytest.raises(DamagedError, match="is gone"):
        features.read("frames")


def test_blocks_cover_every_video_once(features):
    rows, frames = [], []
    for span, arrays in features.blocks(("frames", "status")):
        rows.extend(span)
        frames.append(arrays["frames"])
        assert len(arrays["status"]) == len(span)
    assert rows == list(range(130))
    np.testing.assert_array_equal(np.concatenate(frames), FRAMES)


def test_xarray_opens_a_feature_set(store, features):
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    group = xarray.open_zarr(store.path, group=features.path, consolidated=False, zarr_format=3)
    assert group["frames"].dims == ("video", "view", "frame", "dim")
    assert group.sizes["video"] == 130
    chosen = group["frames"].isel(video=[3, 100]).values
    np.testing.assert_array_equal(chosen, FRAMES[[3, 100]])
