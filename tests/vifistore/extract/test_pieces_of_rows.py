"""Rows of very many frames handed over in pieces: the same embeddings, in bounded memory."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from threading import Lock

import av
import numpy as np
import pytest

from tests.support import bounded
from tests.vifistore.extract.conftest import write_clip
from tests.vifistore.extract.test_long_rows import whole_and_in_pieces
from tests.vifistore.extract.test_pipeline import SETTINGS
from vifi.__main__ import run
from vifistore.errors import DecodeError
from vifistore.extract import long_rows
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.decoders.kept import FramePiece, Keep, KeptFrames
from vifistore.frames.plans import Plan, Sampling
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.frames.processes.parts import Parts
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.squares import Squares
from vifistore.sources.footage import LocalFile
from vifistore.store import open_store

SQUARES = Squares(size=32, short_side=32, interpolation="bicubic", crops=1)
SQUARE_BYTES = 3 * 32**2
PIECE_BYTES = 10 * SQUARE_BYTES


def cut_off(path: Path, source: Path) -> Path:
    """A file whose header promises more frames than there are."""
    data = source.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def write_avi(path: Path, num_frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 40, "yuv420p"
        for _ in range(num_frames):
            image = levels.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode())


def joined(found, crops: int = 1) -> tuple[np.ndarray, list[int]]:
    """All frames of a stretch [crop*frame ...], and how many each piece has."""
    parts: list[np.ndarray] = []
    for piece in found:
        assert isinstance(piece, DecodedVideo | FramePiece)
        if not piece.first:
            parts.clear()
        assert piece.first == sum(part.shape[1] for part in parts)
        parts.append(piece.frames.reshape(crops, -1, *piece.frames.shape[1:]))
    whole = np.concatenate(parts, axis=1)
    return whole.reshape(-1, *whole.shape[2:]), [part.shape[1] for part in parts]


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("kind", ["squares", "frames"])
def test_kept_pieces_are_what_is_kept_whole(crops, kind):
    frames = np.random.default_rng(0).integers(0, 256, (23, 40, 48, 3), dtype=np.uint8)
    squares = replace(SQUARES, crops=crops) if kind == "squares" else None
    whole = KeptFrames(Keep(squares=squares), 23)
    whole.add(frames)
    pieces = KeptFrames(Keep(squares=squares, piece_bytes=2 * 3 * 40 * 48), 23)
    found = []
    for start, stop in ((0, 1), (1, 9), (9, 23)):
        pieces.add(frames[start:stop])
        while piece := pieces.take_piece():
            found.append(piece)
    assert found
    assert {piece.are_squares for piece in found} == {kind == "squares"}
    crops = crops if kind == "squares" else 1
    last = FramePiece(frames=pieces.frames, first=pieces.first, are_squares=False)
    every, counts = joined([*found, last], crops)
    np.testing.assert_array_equal(every, whole.frames)
    assert min(counts) >= 1


@pytest.mark.parametrize("num_frames", [200, 800])
def test_what_a_reader_holds_does_not_grow_with_a_row(tmp_path, num_frames):
    write_avi(tmp_path / "v.avi", num_frames)
    keep = Keep(squares=SQUARES, piece_bytes=PIECE_BYTES)
    plan = Plan(sampling=Sampling(num_frames, every=1))
    # Once before: what imports and tables take is no pixel.
    for _ in decode_stretches(tmp_path / "v.avi", [plan], decoder="decord", keep=keep):
        pass
    tracemalloc.start()
    try:
        counts = []
        for piece in decode_stretches(tmp_path / "v.avi", [plan], decoder="decord", keep=keep):
            counts.append(len(piece.frames))
            del piece
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(counts) == num_frames
    assert max(counts) == PIECE_BYTES // SQUARE_BYTES
    # Three pieces, a few whole frames, and some numbers a frame: not all squares, 3,072 each.
    assert most < 3 * PIECE_BYTES + 20 * 3 * 40 * 48 + 600 * num_frames


def test_what_a_pool_holds_does_not_grow_with_a_row(tmp_path, monkeypatch):
    write_avi(tmp_path / "v.avi", 800)
    held, most, lock = [0], [0], Lock()
    take, give_back = Parts.take, Parts.give_back

    def taken(parts, num_bytes):
        start = take(parts, num_bytes)
        with lock:
            held[0] += 0 if start is None else num_bytes
            most[0] = max(most[0], held[0])
        assert start is not None, "nothing is handed over beside what is counted"
        return start

    def given_back(parts, start, num_bytes):
        give_back(parts, start, num_bytes)
        held[0] -= num_bytes

    monkeypatch.setattr(Parts, "take", taken)
    monkeypatch.setattr(Parts, "give_back", given_back)
    how = {"frames": 800, "clips": 1, "every": 1, "squares": SQUARES}
    job = DecodeJob(footage=LocalFile(tmp_path / "v.avi"), piece_bytes=PIECE_BYTES)
    count = 0
    with bounded(60), DecodePool(1, **how) as pool:
        for key, piece in pool.decode_stretches([(["a"], job)]):
            assert key == "a"
            count += len(piece.frames)
            del piece
    assert count == 800
    # Those that wait, the one that is made and the one that is taken.
    assert PIECE_BYTES <= most[0] <= 5 * PIECE_BYTES
    assert held == [0]


def test_an_error_after_pieces_ends_the_row(tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    from PIL import Image

    for number in range(30):
        # The last one is of another size.
        Image.new("RGB", (48, 40 + (number == 29))).save(folder / f"{number:03}.png")
    keep = Keep(piece_bytes=10 * 3 * 40 * 48)
    plan = Plan(sampling=Sampling(30, every=1))
    *pieces, last = decode_stretches(folder, [plan], decoder="decord", keep=keep)
    assert [type(piece) for piece in pieces] == [FramePiece] * 2
    assert isinstance(last, DecodeError)


@pytest.mark.parametrize(("crops", "words"), [(1, ()), (3, ()), (1, ("--window", "1"))])
def test_rows_in_pieces_have_the_embeddings_of_whole_ones(tmp_path, tiny, crops, words):
    for number in range(3):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number)
    # One that holds fewer frames than it says, so that its pieces begin anew.
    write_avi(tmp_path / "v" / "long.avi", 60)
    cut_off(tmp_path / "v" / "short.avi", tmp_path / "v" / "long.avi")
    paths = [tmp_path / name for name in ("whole", "pieces")]
    for path in paths:
        assert run(["scan", str(path), str(tmp_path / "v"), "--dataset", "d", *words]) == 0
    stores = [open_store(path, mode="a") for path in paths]
    assert stores[0].dataset("d").num_videos > 5 or not words
    settings = replace(SETTINGS, frames=60, every=1, batch=4, crops=crops)
    whole = whole_and_in_pieces(PIECE_BYTES, long_rows, stores, settings, tiny)
    assert np.abs(whole["frames"].astype(np.float32)).sum(axis=(1, 2, 3)).all()
