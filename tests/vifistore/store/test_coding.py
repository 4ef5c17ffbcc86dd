"""Chunks written here are zarr's own, byte for byte, and each is read by the other's code."""

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from vifistore.errors import DamagedError, StoreError, UsageError
from vifistore.store.schema import FEATURE_ARRAYS, VIDEO_COLUMNS, ArraySpec
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.layout import Layout, parse_layout

SPECS = {**FEATURE_ARRAYS, **VIDEO_COLUMNS}


def make(folder, spec: ArraySpec, num_rows: int) -> Backend:
    backend = Backend(folder, writable=True)
    backend.make_group("", {})
    shape = (num_rows, *range(2, 1 + len(spec.axes)))
    backend.make_arrays({"g/a": (spec, shape, (4, *shape[1:]))})
    return backend


def values_of(spec: ArraySpec, shape: tuple[int, ...]) -> np.ndarray:
    numbers = np.arange(np.prod(shape)).reshape(shape)
    if spec.dtype == "str":
        return np.array([["", "é", "多 🎬", "\0x"][n % 4] for n in numbers], object)
    return numbers.astype(spec.dtype)


@pytest.mark.parametrize("name", sorted(SPECS))
@pytest.mark.parametrize("num_rows", [1, 4, 10])
def test_bytes_are_those_of_zarr(tmp_path, name, num_rows):
    spec = SPECS[name]
    ours, theirs = (make(tmp_path / who, spec, num_rows) for who in ("ours", "theirs"))
    shape = ours.layout("g/a").shape
    values = values_of(spec, shape)
    ours.write_rows(0, {"g/a": values})
    array = zarr.open_array(tmp_path / "theirs", path="g/a", mode="r+")
    array.with_config({"write_empty_chunks": True})[:] = values
    files = {path.name: path.read_bytes() for path in (tmp_path / "ours" / "g" / "a").iterdir()}
    for path in (tmp_path / "theirs" / "g" / "a").iterdir():
        assert files.pop(path.name) == path.read_bytes()
    assert files == {}
    np.testing.assert_array_equal(theirs.read("g/a"), values)
    assert theirs.read("g/a").dtype == (object if spec.dtype == "str" else spec.dtype)


@settings(deadline=None, max_examples=40)
@given(
    values=arrays_of.arrays(np.float32, st.tuples(st.integers(1, 13), st.just(2))),
    start=st.integers(0, 12),
    data=st.data(),
)
def test_rows_come_back_however_they_are_cut(tmp_path_factory, values, start, data):
    spec = ArraySpec(dtype="float32", axes=("video", "dim"), fill=-1.0)
    backend = make(tmp_path_factory.mktemp("s"), spec, 13)
    expected = np.full((13, 2), -1.0, np.float32)
    first = data.draw(st.integers(0, 13 - len(values)))
    for at in (start % (14 - len(values)), first):
        backend.write_rows(at, {"g/a": values})
        expected[at : at + len(values)] = values
    stop = data.draw(st.integers(start, 14))
    np.testing.assert_array_equal(backend.read("g/a", start, stop), expected[start:stop])
    rows = np.array(data.draw(st.lists(st.integers(0, 12), max_size=9)), np.int64)
    for verify in (True, False):
        got = backend.read_chosen("g/a", rows, verify=verify)
        np.testing.assert_array_equal(got, expected[rows])


def test_an_array_of_another_program_is_read_and_left_alone(tmp_path):
    backend = Backend(tmp_path / "s", writable=True)
    backend.make_group("", {})
    values = np.arange(20.0).reshape(10, 2)
    array = zarr.create_array(tmp_path / "s", name="g", shape=(10, 2), chunks=(4, 1), dtype="f8")
    array[:] = values
    assert not isinstance(backend.layout("g"), Layout)
    np.testing.assert_array_equal(backend.read("g", 3, 7), values[3:7])
    np.testing.assert_array_equal(backend.read_chosen("g", np.array([7, 2])), values[[7, 2]])
    with pytest.raises(StoreError, match="another program"):
        backend.write_rows(0, {"g": values})


def change(metadata: dict, **changes) -> dict:
    return {**metadata, **changes}


def test_only_our_layout_is_read_without_zarr(tmp_path):
    make(tmp_path / "s", SPECS["frames"], 9)
    metadata = json.loads((tmp_path / "s" / "g" / "a" / "zarr.json").read_text())
    assert parse_layout(metadata).chunk_shape == (4, 2, 3, 4)
    big = {"name": "bytes", "configuration": {"endian": "big"}}
    for other in (
        change(metadata, codecs=[big, {"name": "crc32c"}]),
        change(metadata, codecs=metadata["codecs"][:1]),
        change(metadata, data_type="complex64"),
        change(metadata, data_type="string"),
        change(metadata, storage_transformers=[{"name": "x"}]),
        change(metadata, chunk_key_encoding={"name": "default"}),
    ):
        assert not isinstance(parse_layout(other), Layout)
    with pytest.raises(KeyError):
        parse_layout({"node_type": "group"})


@pytest.mark.parametrize("name", ["view_mean", "reason"])
@pytest.mark.parametrize("damage", [b"", b"abc", None])
def test_damage_is_noticed(tmp_path, name, damage):
    spec = SPECS[name]
    backend = make(tmp_path / "s", spec, 4)
    backend.write_rows(0, {"g/a": values_of(spec, backend.layout("g/a").shape)})
    (file,) = (tmp_path / "s" / "g" / "a").glob("c.*")
    file.write_bytes(file.read_bytes() + b"more" if damage is None else damage)
    with pytest.raises(DamagedError, match=r"run: vifi verify"):
        backend.read("g/a")
    (tmp_path / "s" / "g" / "a" / "zarr.json").write_text("{")
    with pytest.raises(DamagedError, match="cannot be opened"):
        backend.read("g/a")


def test_read_only_stays_as_it_is(tmp_path):
    make(tmp_path / "s", SPECS["status"], 4)
    backend = Backend(tmp_path / "s", writable=False)
    for write in (
        lambda: backend.write_rows(0, {"g/a": np.ones(4)}),
        lambda: backend.make_group("h", {}),
        lambda: backend.make_arrays({"g/b": (SPECS["status"], (4,), (4,))}),
    ):
        with pytest.raises(UsageError, match="read-only"):
            write()


def test_a_failed_write_leaves_the_old_chunk_and_no_rest(tmp_path, monkeypatch):
    spec = SPECS["view_mean"]
    backend = make(tmp_path / "s", spec, 4)
    values = values_of(spec, backend.layout("g/a").shape)
    backend.write_rows(0, {"g/a": values})
    before = sorted((tmp_path / "s" / "g" / "a").iterdir())

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        backend.write_rows(0, {"g/a": values + 1})
    assert sorted((tmp_path / "s" / "g" / "a").iterdir()) == before
    np.testing.assert_array_equal(backend.read("g/a"), values)
