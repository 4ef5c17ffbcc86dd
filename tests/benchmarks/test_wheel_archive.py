import hashlib
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from benchmarks import wheel_archive
from benchmarks.wheel_archive import pack
from vifistore.errors import UsageError


def write_wheel(folder: Path, name: str, content: bytes, needs: tuple[str, ...] = ()) -> None:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/data", content)
        lines = [f"Name: {name}", *(f"Requires-Dist: {need}" for need in needs)]
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", "\n".join(lines))


def test_the_archive_holds_the_same_wheels(tmp_path):
    # Random bytes twice: a wheel's own compression cannot see that the other has them too.
    content = os.urandom(200_000)
    folder = tmp_path / "wheels"
    folder.mkdir()
    write_wheel(folder, "one", content, ("numpy>=2", "two", 'three; extra == "x"'))
    write_wheel(folder, "two", content, ('four; python_version < "3.12"',))
    size = pack(folder, tmp_path / "w.tar.xz")
    assert size == (tmp_path / "w.tar.xz").stat().st_size
    assert size < 0.6 * sum(path.stat().st_size for path in folder.iterdir())
    with tarfile.open(tmp_path / "w.tar.xz") as archive:
        archive.extractall(tmp_path / "out", filter="data")
    for path in folder.iterdir():
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "out" / path.name) as new:
            assert old.namelist() == new.namelist()
            for name in old.namelist():
                assert (
                    hashlib.sha256(old.read(name)).digest()
                    == hashlib.sha256(new.read(name)).digest()
                )


def test_a_wheel_that_needs_another_is_told(tmp_path):
    write_wheel(tmp_path, "one", b"1", ("Five-Six", "torch"))
    with pytest.raises(UsageError, match="need five-six, too"):
        pack(tmp_path, tmp_path / "w.tar.xz")
    assert not (tmp_path / "w.tar.xz").exists()


def test_nothing_is_left_of_an_archive_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(wheel_archive, "LARGEST_BYTES", 1000)
    write_wheel(tmp_path, "one", os.urandom(2000))
    with pytest.raises(UsageError, match="above 1000"):
        pack(tmp_path, tmp_path / "w.tar.xz")
    assert [path.suffix for path in tmp_path.iterdir()] == [".whl"]
    with pytest.raises(UsageError, match="no wheels"):
        pack(tmp_path / "none", tmp_path / "w.tar.xz")
