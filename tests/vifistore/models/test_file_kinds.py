"""Files that are no weights, or would take more memory than a model and its training do."""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import is_whole, read_header
from vifistore.models.file_kinds import unpacked_limit
from vifistore.models.skeletons import new_model
from vifistore.models.torchscript import read_torchscript
from vifistore.models.towers import load_model

TINY = "vifi-tiny"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 1234567\n"
PAGE = b"\n<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize("suffix", ["safetensors", "pt", "bin", "ckpt"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (POINTER, "is a Git LFS pointer and not the file itself; run `git lfs pull` in its folder"),
        (PAGE, "is a web page and no weights; download it again"),
        (b"", "is empty; copy it again"),
    ],
)
def test_what_stands_for_weights_is_named(tmp_path, suffix, content, words):
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words):
        load_model(TINY, str(path))


def test_no_file_is_named(tmp_path):
    (tmp_path / "a.pt").mkdir()
    with pytest.raises(ModelError, match="is a folder; give the file of weights in it"):
        load_model(TINY, str(tmp_path / "a.pt"))
    os.mkfifo(tmp_path / "b.pt")
    with pytest.raises(ModelError, match="there are no weights at"):
        load_model(TINY, str(tmp_path / "b.pt"))


@pytest.fixture
def nothing_is_read(monkeypatch):
    """Reading what a file describes fails: it must be refused before."""

    def fail(*arguments, **options):
        raise AssertionError("memory is taken")

    monkeypatch.setattr(torch, "load", fail)
    monkeypatch.setattr(zipfile.ZipFile, "read", fail)
    monkeypatch.setattr("vifistore.models.weights.load_file", fail)


def zeros(path, name: str, size: int, kind: int = zipfile.ZIP_DEFLATED) -> None:
    """Add a member of zeros to an archive; some hundred times smaller when it is compressed."""
    with zipfile.ZipFile(path, "a", kind) as archive, archive.open(name, "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))


@pytest.mark.parametrize("program", [False, True])
def test_a_zip_bomb_is_refused_before_memory_is_taken(tmp_path, nothing_is_read, program):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        if program:
            archive.writestr("a/constants.pkl", b"")
    zeros(path, "a/data/0", 300 << 20)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=r"unpacks to 0\.3 GiB, where a vifi-tiny .* 0\.1; name"):
        load_model(TINY, str(path))


# Of the directory's first entry: the version of the format that it asks for, and where it begins.
@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (6, 99, r"NotImplementedError: zip file version 9\.9"),
        (0, 0, "BadZipFile: Bad magic number for central directory"),
    ],
)
def test_a_damaged_directory_of_an_archive_is_one_line(tmp_path, place, value, words):
    path = tmp_path / "w.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + place] = value
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"w\.pt cannot be read as weights \({words}"):
        load_model(TINY, str(path))


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_file_with_holes_is_refused_before_memory_is_taken(tmp_path, nothing_is_read, suffix):
    path = tmp_path / f"holes.{suffix}"
    header = {"x": {"dtype": "F32", "shape": [100_000_000], "data_offsets": [0, 400_000_000]}}
    start = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(start)) + start)
    os.truncate(path, 8 + len(start) + 400_000_000)
    with pytest.raises(ModelError, match=r"unpacks to 0\.4 GiB"):
        load_model(TINY, str(path))


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [0, 10**12]},
        {"dtype": "F32", "shape": [10**9, 10**9, 10**9], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
    ],
)
def test_headers_that_lie_are_one_line(tmp_path, entry):
    path = tmp_path / "a.safetensors"
    start = json.dumps({"x": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(start)) + start + bytes(16))
    with pytest.raises(ModelError, match=r"a\.safetensors is not a readable safetensors file"):
        load_model(TINY, str(path))


def test_a_header_as_long_as_a_file_with_holes_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 120_000_000))
    os.truncate(path, 120_000_008)

    def fail(text):
        raise AssertionError("memory is taken")

    monkeypatch.setattr("vifistore.models.checkpoint_files.json.loads", fail)
    assert not is_whole(path)
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_header(path)


def archive_of(path, tensors: int, size: int) -> None:
    """A TorchScript archive of tensors that show one stored number `size` times each."""

    class Module(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for number in range(tensors):
                self.register_buffer(f"t{number}", torch.ones(1).expand(size))

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Module(), torch.zeros(1)).save(path)


def test_tensors_that_repeat_one_number_count_by_what_they_take(tmp_path):
    path = tmp_path / "a.pt"
    archive_of(path, 3, 100_000)
    assert path.stat().st_size < 50_000
    found = read_torchscript(path, limit=3 * 400_000)
    assert [tuple(tensor.shape) for tensor in found.values()] == [(100_000,)] * 3
    with pytest.raises(ModelError, match="take more memory than those of the model"):
        read_torchscript(path, limit=3 * 400_000 - 1)


def test_a_member_is_unpacked_as_far_as_its_archive_says(tmp_path, monkeypatch):
    """The directory of a bomb may say less than a member holds."""
    path = tmp_path / "a.pt"
    archive_of(path, 1, 4)
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            is_storage = name.endswith("data/0")
            new.writestr(name, bytes(1 << 24) if is_storage else old.read(name))
    path.write_bytes(content.getvalue().replace(struct.pack("<I", 1 << 24), struct.pack("<I", 4)))
    unpacked = []
    inflate = zipfile.ZipExtFile.read
    monkeypatch.setattr(
        zipfile.ZipExtFile, "read", lambda f, n=-1: (unpacked.append(n), inflate(f, n))[1]
    )
    with pytest.raises(ModelError, match=r"a\.pt"):
        load_model(TINY, str(path))
    assert unpacked
    assert -1 not in unpacked


def test_expanded_tensors_are_refused_before_they_are_copied(tmp_path):
    state = dict(new_model(TINY, 0).state_dict())
    state["visual.proj"] = torch.zeros(1).expand(1 << 30)
    torch.save(state, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 50 << 20
    with pytest.raises(ModelError, match=r"describes 4\.0 GiB of weights and does not hold them"):
        load_model(TINY, str(tmp_path / "a.pt"))


def test_a_training_checkpoint_is_within_the_bound(tmp_path, monkeypatch):
    """Weights, their average, and two moments, in float32: more than four times the model."""
    monkeypatch.setattr("vifistore.models.file_kinds._BESIDE", 1 << 20)
    state = new_model(TINY, 0).state_dict()
    size = sum(tensor.numel() * 4 for tensor in state.values())
    torch.save(
        {
            "model": state,
            "model_ema": {key: value + 0 for key, value in state.items()},
            "optimizer": {
                "state": {n: {"a": v + 1, "b": v + 2} for n, v in enumerate(state.values())},
                "param_groups": [],
            },
        },
        tmp_path / "a.pt",
    )
    assert 4 * size < (tmp_path / "a.pt").stat().st_size < unpacked_limit(size)
    load_model(TINY, str(tmp_path / "a.pt"))


def test_an_archive_that_only_torch_can_read_is_refused(tmp_path):
    """What its members take is not known then."""
    save_file({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
    path = tmp_path / "a.pt"
    torch.save(new_model(TINY, 0).state_dict(), path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelError, match=r"a\.pt cannot be read as weights"):
        load_model(TINY, str(path))
