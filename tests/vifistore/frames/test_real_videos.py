"""Every real clip, through every decoder, against what is known of it."""

import csv
from pathlib import Path

import numpy as np
import pytest

from vifistore.errors import DecodeError
from vifistore.frames.decoders.decoding import DecodedVideo
from vifistore.frames.processes.pool import DecodePool

pytestmark = pytest.mark.shared

BAD = {
    "file-type__fixture-corrupt.mkv": "not a video",
    "file-type__fixture-isom.mp4": "not a video",
    "file-type__fixture-moov.mov": "not a video",
    "file-type__fixture.ogv": "not a video",
    "moviepy__result.webm": "empty",
    "mp4parse-rust__av1-clearkey-cbcs-video.mp4": "encrypted",
    "mp4parse-rust__chunk_out_of_range.mp4": "not a video",
    "mp4parse-rust__invalid_userdata.mp4": "short",
    "mp4parse-rust__opus_audioinit.mp4": "no video stream",
    "mp4parse-rust__short-cenc.mp4": "encrypted",
    "mp4parse-rust__test_case_1185230.mp4": "decode error",
    "mp4parse-rust__zero_empty_stsc.mp4": "decode error",
}
# decord and PyAV spread the half-size colour of frames of odd size differently, by at most this
# mean difference in grey levels; the pixels of all other videos are equal but for rounding.
ODD_SIZE_TOLERANCE = 6.0
TOLERANCE = 0.6

Verdicts = dict[str, DecodedVideo | DecodeError]


@pytest.fixture(scope="module")
def manifest(shared: Path) -> list[dict[str, str]]:
    with (shared / "videos/manifest.tsv").open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def verdicts(shared: Path, manifest: list[dict[str, str]]) -> dict[str, Verdicts]:
    """Verdict on every file, by decoder; what has no frames by one is not read twice."""
    jobs = [(row["file"], shared / "videos" / row["file"]) for row in manifest]
    with DecodePool(2, frames=4, clips=1, decoder="decord") as pool:
        decord = dict(pool.decode(jobs))
    again = [job for job in jobs if isinstance(decord[job[0]], DecodedVideo)]
    with DecodePool(2, frames=4, clips=1, decoder="pyav") as pool:
        pyav = dict(pool.decode(again))
    return {"decord": decord, "pyav": decord | pyav}


@pytest.mark.parametrize("decoder", ["decord", "pyav"])
def test_every_file_ends_with_the_right_verdict(
    manifest: list[dict[str, str]], verdicts: dict[str, Verdicts], decoder: str
) -> None:
    for row in manifest:
        name = Path(row["file"]).name
        verdict = verdicts[decoder][row["file"]]
        assert getattr(verdict, "reason", None) == BAD.get(name), name
        if isinstance(verdict, DecodedVideo):
            size = (int(row["w"]), int(row["h"]))
            turned = row["rotation"] in ("90", "-90")
            assert (verdict.width, verdict.height) == (size[::-1] if turned else size), name
            assert verdict.num_frames == int(row["frames"]), name
            assert verdict.declared_frames >= int(row["declared_frames"] or 0), name
            assert verdict.content_digest == row["sha256"], name


def test_decoders_agree_on_pixels_and_times(verdicts: dict[str, Verdicts]) -> None:
    for file, one in verdicts["decord"].items():
        other = verdicts["pyav"][file]
        if isinstance(one, DecodedVideo):
            np.testing.assert_allclose(one.timestamps, other.timestamps, atol=2e-3, err_msg=file)
            error = np.abs(one.frames.astype(np.int16) - other.frames).mean()
            is_odd = one.width % 2 or one.height % 2
            largest = ODD_SIZE_TOLERANCE if is_odd else TOLERANCE
            assert error <= (largest if one.decoder == "decord" else 0), file


def test_times_lie_within_the_video(
    manifest: list[dict[str, str]], verdicts: dict[str, Verdicts]
) -> None:
    for row in manifest:
        video = verdicts["decord"][row["file"]]
        if isinstance(video, DecodedVideo) and row["fps"] not in ("", "0/0"):
            # Variable frame rates run longer than frames / average rate says.
            length = int(row["frames"]) / float(row["fps"]) * (2 if row["vfr"] else 1) + 0.5
            assert (np.diff(video.timestamps) >= 0).all(), row["file"]
            assert 0 <= video.timestamps.min() <= video.timestamps.max() <= length, row["file"]
