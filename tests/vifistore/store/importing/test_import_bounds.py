"""Files that say what is not so take neither memory nor a traceback."""

import contextlib
import subprocess
import sys

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from tests.support import bounded
from tests.vifistore.store.importing.bringing import RNG, bring, export, fill_store, means
from vifistore.errors import UsageError, VifiError
from vifistore.store.importing import arrow, hdf5_trial


def npy(shape: str, kind: str = "<f4") -> bytes:
    """A .npy file of that shape with a few numbers."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(96)


@pytest.mark.parametrize(
    "content",
    [
        npy("(-3, 8)"),
        npy("(3, -8)"),
        npy("(10**12, 8)".replace("10**12", str(10**12))),
        npy(f"({10**30}, 8)"),
        npy(f"(3, {2**63})"),
        npy("(3, 8, " + "1, " * 20 + ")"),
        npy("(" * 900 + ")" * 900),
        npy("(3, 8)", "|O"),
        npy("(3, 8)", "<f99999999999"),
        npy("(3, 8)")[:20],
        b"",
        b"PK\x03\x04" + bytes(40),
    ],
)
def test_npy(tmp_path, content):
    file, wanted = means(tmp_path, ["a", "b", "c"])
    file.write_bytes(content)
    with bounded(), pytest.raises(UsageError) as caught:
        bring(tmp_path / "s.zarr", file, "npy", **wanted)
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "s.zarr").exists()


def test_an_archive_is_no_array(tmp_path):
    file, wanted = means(tmp_path, ["a", "b", "c"])
    np.savez(tmp_path / "x.npz", a=np.ones((3, 8)))
    (tmp_path / "x.npz").rename(file)
    with pytest.raises(UsageError, match="does not begin as one"):
        bring(tmp_path / "s.zarr", file, "npy", **wanted)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    store = fill_store(folder, RNG.normal(size=(3, 1, 2, 4)))
    return export(store, "hdf5", folder / "x.h5")


@pytest.fixture
def hdf5(exported, tmp_path):
    file = tmp_path / "x.h5"
    file.write_bytes(exported.read_bytes())
    return file


@pytest.mark.parametrize("count", [10**7, 10**10, 10**15])
@pytest.mark.parametrize("name", ["view_mean", "frames", "videos/id", "videos/fps", "class_names"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_hdf5_of_absurd_shape(hdf5, tmp_path, name, count, compression):
    with h5py.File(hdf5, "a") as file:
        old = file[name]
        shape, kind = (count, *old.shape[1:]), old.dtype
        del file[name]
        chunks = (1, *shape[1:]) if compression else None
        kind = h5py.string_dtype() if kind.kind == "O" else kind
        file.create_dataset(name, shape=shape, dtype=kind, chunks=chunks, compression=compression)
    with bounded(), pytest.raises(VifiError) as caught:
        bring(tmp_path / "s.zarr", hdf5, "hdf5")
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "s.zarr").exists()


FUZZ = """
import random, sys
from pathlib import Path
from tests.vifistore.store.importing.bringing import bring
from vifistore.errors import VifiError

source, folder, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
whole, rng = source.read_bytes(), random.Random(seed)
used = [n for n in range(len(whole)) if whole[n] or rng.random() < 0.02]
file = folder / "x.h5"
for number in range(12):
    data = bytearray(whole)
    data[rng.choice(used)] ^= 1 << rng.randrange(8)
    file.write_bytes(data)
    print(number, flush=True)
    try:
        bring(folder / f"{number}.zarr", file, "hdf5")
    except VifiError as error:
        assert "\\n" not in str(error) and len(str(error)) < 500, error
"""


@pytest.mark.parametrize("seed", [0, 1])
def test_hdf5_with_a_flipped_bit(exported, tmp_path, seed):
    """In a process of its own: HDF5's library ends some that read such a file."""
    command = [sys.executable, "-c", FUZZ, str(exported), str(tmp_path), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode == 0, (done.returncode, done.stdout[-20:])


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("import os; os.abort()", "ends by signal 6"),
        ("import time; time.sleep(60)", "cannot be read in 1 seconds"),
        ("raise SystemExit(1)", ""),
    ],
)
def test_a_library_that_ends_its_process_does_not_end_ours(
    hdf5, tmp_path, monkeypatch, program, words
):
    (tmp_path / "trial.py").write_text(program)
    monkeypatch.setattr(hdf5_trial, "_PROGRAM", str(tmp_path / "trial.py"))
    monkeypatch.setattr(hdf5_trial, "_SECONDS", 1 if "sleep" in program else 60)
    if not words:
        # An error is told by the reading itself, and here there is none.
        assert bring(tmp_path / "s.zarr", hdf5, "hdf5").done == 3
        return
    with pytest.raises(UsageError, match=words):
        bring(tmp_path / "s.zarr", hdf5, "hdf5")
    assert not (tmp_path / "s.zarr").exists()


def write_parquet(path, count=3):
    ids = pyarrow.array([f"v{i}.mp4" for i in range(count)])
    rows = pyarrow.array([[1.0, 2.0]] * count)
    pyarrow.parquet.write_table(pyarrow.table({"id": ids, "embedding": rows}), path)
    return path


def test_parquet_of_more_than_the_memory(tmp_path, monkeypatch):
    """Equal values take nearly no space: a small file may be endless."""
    path = write_parquet(tmp_path / "x.parquet", 1000)
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4}
    monkeypatch.setattr(arrow.os, "sysconf", sizes.__getitem__)
    with pytest.raises(UsageError, match="more than half of this machine's memory; split it"):
        bring(tmp_path / "s.zarr", path, "parquet")


@pytest.mark.parametrize("seed", range(3))
def test_parquet_with_flipped_bits(tmp_path, seed):
    whole = write_parquet(tmp_path / "x.parquet").read_bytes()
    rng = np.random.default_rng(seed)
    for number in range(60):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (tmp_path / "x.parquet").write_bytes(data)
        with bounded(), contextlib.suppress(VifiError):
            bring(tmp_path / f"{number}.zarr", tmp_path / "x.parquet", "parquet")
