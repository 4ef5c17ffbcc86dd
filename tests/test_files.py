"""What is no regular file is never opened, wherever it lies and whatever it is called."""

import ast
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.results import FILE_NAME, append_rows, read_rows
from harness.results.artefacts import Artefacts
from harness.results.json_artefacts import add_commands
from tests.support import bounded
from tests.test_house import ROOT, modules
from vifi.searching.read_pictures import read_picture
from vifistore.errors import DecodeError, UsageError, VifiError
from vifistore.files import open_regular, parse_json, read_json, read_regular, write_all
from vifistore.frames.bitstreams.packets import open_video
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.decoders.image_folder import list_images
from vifistore.frames.digests import content_digest
from vifistore.frames.previews.thumbnails import thumbnail
from vifistore.store import open_store
from vifistore.store.importing.clip_retrieval import open_clip_retrieval
from vifistore.store.importing.hdf5 import open_hdf5
from vifistore.store.importing.npy_array import open_npy_array, read_ids
from vifistore.store.importing.npy_folder import open_npy_folder
from vifistore.store.importing.parquet import open_parquet
from vifistore.store.key_value.storage import LocalStorage
from vifistore.videos.class_files import read_class_file
from vifistore.videos.listing import read_source
from vifistore.videos.probe import Probe, probe
from vifistore.videos.text_lines import first_bytes, read_text


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_zero(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        # The path of a socket must be short.
        server.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


KINDS = [make_fifo, link_to_zero, link_to_fifo, make_socket]


@pytest.fixture(autouse=True)
def _neither_time_nor_memory():
    with bounded():
        yield


def write_images(folder: Path) -> Path:
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("make", KINDS)
def test_in_a_folder_of_frames_it_is_no_frame(tmp_path, make):
    plain, other = write_images(tmp_path / "a"), write_images(tmp_path / "b")
    make(other / "4.png")
    assert [path.name for path in list_images(other)] == ["0.png", "1.png", "2.png"]
    assert content_digest(other) == content_digest(plain)
    assert decode_video(other, frames=3, clips=1, decoder="pyav").num_frames == 3
    assert thumbnail(other).startswith(b"\xff\xd8")
    assert probe(other).num_frames == 3
    assert probe(other).size_bytes == probe(plain).size_bytes


def test_a_frame_that_leads_nowhere_is_not_left_out_unsaid(tmp_path):
    folder = write_images(tmp_path / "a")
    (folder / "4.png").symlink_to("nowhere")
    with pytest.raises(DecodeError, match="cannot be read") as caught:
        decode_video(folder, frames=3, clips=1, decoder="pyav")
    assert caught.value.reason == "missing"


DOORS = {
    "digest": lambda path: content_digest(path),
    "decode": lambda path: decode_video(path, frames=3, clips=1, decoder="pyav"),
    "packets": lambda path: open_video(path),
    "thumbnail": lambda path: thumbnail(path),
    "picture": lambda path: read_picture(path),
    "list": lambda path: read_source(path),
    "text": lambda path: read_text(path),
    "classes": lambda path: read_class_file(path),
    "json": lambda path: read_json(path),
    "hdf5": lambda path: open_hdf5(path),
    "parquet": lambda path: open_parquet(path),
    "npy": lambda path: open_npy_array(path, ["a"], "ids.txt"),
    "ids": lambda path: read_ids(path),
    "place": lambda path: LocalStorage(path.parent, writable=False).get(path.name),
    "tail": lambda path: LocalStorage(path.parent, writable=False).tail(path.name, 4),
    "chunk": lambda path: LocalStorage(path.parent, writable=False).read_into(
        path.name, np.empty(4, np.uint8)
    ),
    "ranges": lambda path: LocalStorage(path.parent, writable=False).read_ranges(
        path.name, [0], [np.empty(4, np.uint8)]
    ),
}


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("door", DOORS)
def test_each_door_refuses_it(tmp_path, make, door):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises((VifiError, OSError)) as caught:
        DOORS[door](path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", KINDS)
def test_folders_with_it_are_refused_or_read_without_it(tmp_path, make, make_store):
    store = make_store()
    make(store.path / "videos" / "d" / "id" / "c.1")
    (store.path / "videos" / "d" / "id" / "c.0").unlink()
    make_again = store.path / "videos" / "d" / "id" / "c.0"
    make_again.symlink_to("c.1")
    with pytest.raises(OSError, match="not a file"):
        open_store(store.path).videos("d")
    results = tmp_path / "results"
    results.mkdir()
    make(results / FILE_NAME)
    for read in (read_rows, lambda folder: append_rows(folder, [_row()])):
        with pytest.raises(OSError, match="not a file"):
            read(results)
    (results / "artefacts").mkdir()
    (results / "artefacts" / "tsne.csv").symlink_to(f"../{FILE_NAME}")
    Artefacts(results)
    npy = tmp_path / "npy"
    npy.mkdir()
    make(npy / "a_clip.npy")
    with pytest.raises((VifiError, OSError)):
        open_npy_folder(npy, [])
    (npy / "img_emb").mkdir()
    (npy / "metadata").mkdir()
    (npy / "img_emb" / "img_emb_0.npy").symlink_to("../a_clip.npy")
    with pytest.raises(VifiError):
        open_clip_retrieval(npy)


def _row():
    from tests.harness.results.test_results import make_row

    return make_row()


@pytest.mark.parametrize("make", KINDS)
def test_what_only_looks_sees_nothing(tmp_path, make):
    path = tmp_path / "thing.mp4"
    make(path)
    assert first_bytes(path, 4) == b""
    assert probe(path) == Probe()


@pytest.mark.parametrize("make", KINDS)
def test_no_lock_waits_at_it(tmp_path, make):
    (tmp_path / "artefacts").mkdir()
    make(tmp_path / "artefacts" / ".lock")
    with pytest.raises(OSError, match="not a file"):
        add_commands(tmp_path, ["vifi"])


def test_what_is_larger_than_it_may_be_is_not_read(tmp_path):
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.truncate(50 << 30)
    with pytest.raises(OSError, match="larger than 1024 MiB"):
        read_regular(path)
    with pytest.raises(UsageError, match=r"cannot be read \(it is larger than 1024 MiB\)"):
        read_text(path)
    path.write_bytes(b"1234")
    assert read_regular(path, 4) == b"1234"
    with pytest.raises(OSError, match="larger"):
        read_regular(path, 3)


def test_deep_json_is_a_value_error():
    for text in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(ValueError, match="deeply"):
            parse_json(text)


def test_a_pipe_swapped_in_after_the_look_does_not_wait(tmp_path, monkeypatch):
    path = tmp_path / "thing"
    make_fifo(path)
    monkeypatch.setattr("vifistore.files.require_regular", lambda path: None)
    with pytest.raises(OSError, match="not a file"):
        open_regular(path)


# Files of our own and of the system, and those that were just seen to be regular.
_OWN = {
    "vifistore.files",
    "vifistore.frames.processes.child_process",  # /proc
    "vifistore.following.follow",  # /proc
    "vifi.command_line.endings",  # /proc
    "vifistore.frames.processes.memory_limits",  # /sys
    "vifistore.store.key_value.durable",  # temporary files, under names of their own
    "vifistore.store.exporting.fresh",  # what was just written
    "vifistore.models.clip_tokens",  # the vocabulary that comes with OpenCLIP
    "vifistore.models.openclip_files",  # written under a temporary name
    "vifistore.models.checkpoint_files",  # asked by `is_file` first
    "reports.page.document",  # the page's own files
    "reports.paper.paper_numbers",
}


def _bare_openings(path: Path) -> list[int]:
    """Lines that open or read a file whatever it is."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        is_method = isinstance(node.func, ast.Attribute)
        name = node.func.attr if is_method else getattr(node.func, "id", "")
        modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
        is_open = name == "open" and (not is_method or set(modes) & {"rb", "r", "a"})
        guarded = any(keyword.arg == "opener" for keyword in node.keywords)
        if (name in ("read_text", "read_bytes") and is_method) or (is_open and not guarded):
            lines.append(node.lineno)
    return lines


def test_no_module_opens_files_of_others_by_itself():
    found = {
        f"{module}:{line}"
        for module, path in modules(ROOT).items()
        if module not in _OWN and not module.startswith(("vifi.bench", "vifi.demo"))
        for line in _bare_openings(path)
    }
    assert found == set()


def test_a_bare_opening_is_noticed(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("p.read_text()\np.open('rb')\nopen(p)\nopen(p, opener=o)\nImage.open(p)\n")
    assert _bare_openings(path) == [1, 2, 3]


def test_a_whole_buffer_is_written_however_little_a_call_takes(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:3]))
    with open(tmp_path / "x", "wb", buffering=0) as file:
        write_all(file.fileno(), np.arange(5, dtype=np.int16))
        write_all(file.fileno(), b"")
    assert np.fromfile(tmp_path / "x", np.int16).tolist() == [0, 1, 2, 3, 4]
