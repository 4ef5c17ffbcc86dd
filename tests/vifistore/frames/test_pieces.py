"""A stretch read in pieces, of real kinds of file, is what it is when it is read whole."""

import numpy as np
import pytest

from tests.vifistore.extract.test_pieces_of_rows import PIECE_BYTES, SQUARES, cut_off, joined
from vifistore.frames.decoders.decoding import DecodedVideo, decode_stretches
from vifistore.frames.decoders.kept import Keep
from vifistore.frames.plans import Plan, Sampling


@pytest.mark.parametrize("name", ["h264.mp4", "xvid.avi", "open-gop.mp4", "cut-off.mp4"])
@pytest.mark.parametrize(
    "sampling", [Sampling(400, fps=200.0), Sampling(40), Sampling(99, every=1)]
)
def test_a_stretch_in_pieces_is_the_stretch(videos, tmp_path, name, sampling):
    path = videos.get(name) or cut_off(tmp_path / "v.avi", videos["xvid.avi"])
    plan = Plan(sampling=sampling)
    (whole,) = decode_stretches(path, [plan], decoder="decord", keep=Keep(squares=SQUARES))
    assert isinstance(whole, DecodedVideo)
    keep = Keep(squares=SQUARES, piece_bytes=PIECE_BYTES)
    *pieces, last = decode_stretches(path, [plan], decoder="decord", keep=keep)
    every, _ = joined([*pieces, last])
    np.testing.assert_array_equal(every, whole.frames)
    assert isinstance(last, DecodedVideo)
    assert (last.numbers, last.index.tolist()) == (whole.numbers, whole.index.tolist())
    assert last.timestamps.tolist() == whole.timestamps.tolist()
    assert last.first + len(last.frames) == len(whole.frames)
