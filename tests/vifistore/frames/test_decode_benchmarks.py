"""The decode benchmarks run, so they cannot rot; their numbers are looked at elsewhere."""

import csv
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def folder(videos: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("h264.mp4", "xvid.avi"):
        (folder / name).write_bytes(videos[name].read_bytes())
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def run(name: str, settings: SimpleNamespace) -> list[dict[str, str]]:
    runpy.run_path(str(BENCHMARKS / name))["main"](settings)
    with settings.results.open(newline="") as file:
        return list(csv.DictReader(file))


def test_verdicts_are_written_by_file_and_decoder(folder: Path, tmp_path: Path) -> None:
    settings = SimpleNamespace(
        folder=folder, frames=2, timeout_seconds=60, results=tmp_path / "verdicts.csv"
    )
    rows = run("decode_verdicts.py", settings)
    found = {(row["file"], row["decoder"]): (row["verdict"], row["read_by"]) for row in rows}
    assert found["h264.mp4", "decord"] == ("ok", "decord")
    assert found["xvid.avi", "decord"] == ("ok", "pyav")
    assert found["bad.mp4", "pyav"] == ("not a video", "")
