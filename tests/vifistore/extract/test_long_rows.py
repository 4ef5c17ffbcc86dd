"""Rows of very many frames: encoded in pieces, few of them at once, and told of."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.test_pipeline import SETTINGS
from vifistore.extract import long_rows, transfer
from vifistore.extract.clock import Clock
from vifistore.extract.encoder import Encoder
from vifistore.extract.job import extract_dataset
from vifistore.extract.transfer import Pixels
from vifistore.frames.preprocess import preprocessing_of
from vifistore.frames.processes import pool
from vifistore.frames.processes.pool import DecodePool
from vifistore.frames.squares import Squares


def arrays(store) -> dict[str, np.ndarray]:
    """All of the only set of a store."""
    dataset = store.dataset("d")
    (features,) = map(dataset.features, dataset.feature_ids())
    return {name: features.read(name) for name in ("frames", "view_mean", "timestamps")}


def whole_and_in_pieces(pieces, place, stores, settings, tiny) -> dict[str, np.ndarray]:
    """What is extracted into two stores, the second in pieces of so many bytes: it is the same."""
    made = []
    for store, size in zip(stores, (2**40, pieces), strict=True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, "_PIECE_BYTES", size)
            extract_dataset(store.dataset("d"), settings, loaded=tiny)
        made.append(arrays(store))
    for name, whole in made[0].items():
        np.testing.assert_array_equal(made[1][name], whole)
    return made[0]


@pytest.mark.parametrize("crops", [1, 3])
def test_pieces_are_encoded_as_the_whole_is(tmp_path, tiny, crops):
    for number in range(3):
        write_clip(tmp_path / "v" / f"{number}.mp4", seed=number)
    stores = [scan(tmp_path / name, tmp_path / "v") for name in ("whole", "pieces")]
    settings = replace(SETTINGS, frames=11, crops=crops, batch=4)
    whole_and_in_pieces(5 * 3 * 32**2 * 4, transfer, stores, settings, tiny)


@dataclass(frozen=True)
class Frames:
    """What a decoded video has of them."""

    frames: np.ndarray
    are_squares: bool


@pytest.mark.parametrize("are_squares", [True, False])
@pytest.mark.parametrize("crops", [1, 3])
def test_pieces_are_the_rows_in_their_order(tiny, monkeypatch, crops, are_squares):
    monkeypatch.setattr(transfer, "_PIECE_BYTES", 5 * 3 * 32**2 * 4)
    recipe = preprocessing_of("openclip", tiny.preprocess_config, crops)
    how = {"device": torch.device("cpu"), "dtype": torch.float32, "clock": Clock()}
    pixels = Pixels(recipe, crops=crops, **how)
    shape = (12 * crops, 32, 32, 3) if are_squares else (12, 40, 50, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    video = Frames(frames, are_squares)
    count, pieces = pixels.pieces(video)
    pieces = list(pieces)
    assert len(pieces) == (1 if crops > 1 and not are_squares else -(-len(frames) // 5))
    assert torch.equal(torch.cat(pieces), pixels.of(video))
    assert count == 12 * crops


def test_a_piece_is_made_once_the_one_before_is_encoded(tiny):
    encoder = Encoder(tiny, precision="fp32", device=torch.device("cpu"), batch=4)
    encoded, seen = [], []
    tower = encoder._tower

    def counted(pixels: torch.Tensor) -> object:
        encoded.append(len(pixels))
        return tower(pixels)

    def pieces():
        for _ in range(3):
            seen.append(sum(encoded))
            yield torch.randn(6, 3, *tiny.image_size)

    encoder._tower = counted
    ((key, outputs),) = [*encoder.add_pieces("v", 18, pieces()), *encoder.finish()]
    assert (key, len(outputs["frames"])) == ("v", 18)
    # Of batches of four, what fills none waits for the next piece.
    assert seen == [0, 4, 12]


@pytest.mark.parametrize(("frames", "ahead"), [(4, 32), (100, 4), (7200, 2)])
def test_fewer_long_videos_are_decoded_ahead(frames, ahead):
    squares = Squares(size=224, short_side=224, interpolation="bicubic", crops=1)
    with DecodePool(2, frames=frames, clips=1, squares=squares) as opened:
        assert opened._num_ahead() == ahead


def test_what_long_rows_take_is_told(tmp_path, tiny, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    write_clip(tmp_path / "v" / "a.mp4", seed=0)
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert "held whole" not in caplog.text
    monkeypatch.setattr(long_rows, "LONG_BYTES", 1000)
    other = replace(SETTINGS, frames=5)
    extract_dataset(store.dataset("d"), other, loaded=tiny)
    # Once on standard error; what caplog hears twice depends on the tests before.
    (line,) = {line for line in caplog.messages if "held whole" in line}
    assert "--dataset d-30s --window 30" in line
    assert len(line) < 400 + len(str(tmp_path)) * 2
    assert pool.LONG_BYTES == 2**28
