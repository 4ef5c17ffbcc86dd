"""Rows that are stretches of long files, and frames at a rate: what each shows is stored."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.vifistore.extract.conftest import scan, write_clip
from tests.vifistore.extract.stretch_rows import stretch_store, stretch_table, windows
from vifistore.errors import UsageError
from vifistore.extract.decoded_rows import _neighbours
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.extract.prepare import prepare
from vifistore.frames import file_digests
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.plans import Span
from vifistore.frames.preprocess import preprocess
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.store.dataset import write_videos
from vifistore.store.pooling import pool_views
from vifistore.store.schema import DONE, QUARANTINED
from vifistore.store.store import create_store
from vifistore.store.verifying.verify import verify_store

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", fps=5.0, precision="fp32", device="cpu", workers=2
)
NUMBERS = replace(SETTINGS, fps=None, frames=4)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """Two files of 12 and 6 seconds, and one of less than one."""
    folder = tmp_path_factory.mktemp("films")
    write_clip(folder / "long.mp4", seed=1, num_frames=300)
    write_clip(folder / "short.mp4", seed=2, num_frames=150)
    write_clip(folder / "tiny.mp4", seed=3, num_frames=12)
    return folder


def expected_frames(features, path: Path, span: Span, settings, tiny) -> tuple:
    """float32 [frame dim] as decoding that stretch alone and encoding it gives, and its times."""
    sampling = {name: getattr(settings, name) for name in ("fps", "every", "clips", "stride")}
    room = features.frames.shape[2]
    video = decode_video(path, frames=room, span=span, decoder="pyav", **sampling)
    recipe = prepare(features.dataset, settings, tiny).recipe
    (pixels,) = preprocess(torch.from_numpy(video.frames), recipe.preprocessing, crops=1)
    encoder = Encoder(tiny, precision="fp32", device=torch.device("cpu"))
    ((_, found),) = encoder.encode([(0, pixels)])
    return found.numpy()[video.index], video.timestamps


@pytest.mark.parametrize(
    "settings", [SETTINGS, replace(SETTINGS, fps=None, every=7), NUMBERS], ids=["fps", "every", "T"]
)
def test_every_row_holds_the_frames_of_its_stretch(tmp_path, films, tiny, settings):
    rows = [*windows("long.mp4", 12, 2.5), *windows("short.mp4", 6, 2.5), ("tiny.mp4", 0.0, np.nan)]
    store = stretch_store(tmp_path / "s.zarr", films, rows)
    report = extract_dataset(store.dataset("d"), settings, loaded=tiny)
    features = store.dataset("d").features(report.name)
    assert (report.encoded, report.sealed) == (len(rows), True)
    for row, (name, start, end) in enumerate(rows):
        span = Span(start, np.inf if np.isnan(end) else end)
        frames, seconds = expected_frames(features, films / name, span, settings, tiny)
        count = frames.shape[1]
        assert features.num_valid[row].tolist() == [count]
        np.testing.assert_allclose(features.frames[row][:, :count], frames, atol=2e-2, rtol=2e-2)
        assert not features.frames[row][:, count:].any()
        np.testing.assert_array_equal(features.timestamps[row][:, :count], seconds)
        assert not features.timestamps[row][:, count:].any()
    assert features.has_num_valid == settings.has_rate
    mean, consensus = pool_views(features.frames[:], features.num_valid)
    np.testing.assert_allclose(features.view_mean[:], mean, atol=1e-5)
    np.testing.assert_allclose(features.view_consensus[:], consensus, atol=1e-5)
    assert not [*verify_store(store)]


def test_the_recipe_and_the_name_tell_the_rate(tmp_path, films, tiny):
    store = stretch_store(tmp_path / "s.zarr", films, windows("long.mp4", 12, 2))
    for settings in (SETTINGS, replace(SETTINGS, fps=0.5), replace(SETTINGS, fps=None, every=5)):
        job = prepare(store.dataset("d"), settings, tiny)
        assert job.recipe.frames == {5.0: 11, 0.5: 1, None: 11}[settings.fps]
        kind = {"fps": settings.fps} if settings.fps else {"every": settings.every}
        rule = "fixed-rate" if settings.fps else "every-nth"
        recipe = job.recipe.as_dict()
        assert {**recipe, **kind, "sampling_rule": rule} == recipe
    names = [
        prepare(store.dataset("d"), s, tiny).name
        for s in (SETTINGS, replace(SETTINGS, fps=0.5), replace(SETTINGS, fps=None, every=5))
    ]
    assert names == [f"vifi-tiny@random.{rate}" for rate in ("5fps", "0.5fps", "every5")]
    assert not {"fps", "every"} & prepare(store.dataset("d"), NUMBERS, tiny).recipe.as_dict().keys()


def test_a_stretch_behind_the_end_is_quarantined_alone(tmp_path, films, tiny):
    rows = [("short.mp4", 0.0, 2.0), ("short.mp4", 50.0, 52.0), ("short.mp4", 4.0, 6.0)]
    store = stretch_store(tmp_path / "s.zarr", films, rows)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    features = store.dataset("d").features(report.name)
    assert features.read_status().tolist() == [DONE, QUARANTINED, DONE]
    ((told,),) = [features.quarantine()]
    assert (told["row"], told["reason"]) == (1, "short")
    assert "no frame from 50 to 52 seconds: it ends at 6" in told["message"]
    assert not [*verify_store(store)]


def test_a_file_is_read_for_its_digest_once_a_run(tmp_path, films, tiny, monkeypatch):
    """However many rows and blocks it has: by the worker that comes first, and never here."""
    here, jobs, wire = [], [], DecodeJob.wire

    def noted(job: DecodeJob, *, takes_digest: bool) -> dict:
        jobs.append(takes_digest)
        return wire(job, takes_digest=takes_digest)

    monkeypatch.setattr(DecodeJob, "wire", noted)
    monkeypatch.setattr(file_digests, "content_digest", here.append)
    rows = [*windows("long.mp4", 12, 0.1), *windows("short.mp4", 6, 1)]
    store = stretch_store(tmp_path / "s.zarr", films, rows)
    report = extract_dataset(store.dataset("d"), NUMBERS, loaded=tiny)
    features = store.dataset("d").features(report.name)
    assert report.encoded == len(rows)
    of_files = features.content_digests(np.arange(len(rows)))
    assert len(set(of_files[:120])) == 1 != len(set(of_files))
    assert len(set(features.content_keys())) == len(rows)
    assert (here, sorted(jobs)) == ([], [False, True, True])


def test_equal_stretches_of_equal_files_are_encoded_once(tmp_path, films, tiny):
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(films / "short.mp4", folder / name)
    rows = [*windows("a.mp4", 6, 2), ("b.mp4", 0.0, 2.0), ("b.mp4", 1.0, 3.0)]
    store = stretch_store(tmp_path / "s.zarr", folder, rows)
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.reused) == (4, 1)
    features = store.dataset("d").features(report.name)
    np.testing.assert_array_equal(features.frames[3], features.frames[0])
    assert features.num_valid[:].tolist() == [[10]] * 5
    # And into another dataset, as the set is of the same recipe.
    write_videos(store.new_dataset("e"), stretch_table(folder, rows[:2]), [], str(folder))
    again = extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
    assert (again.encoded, again.reused) == (0, 2)
    assert not [*verify_store(store)]


def test_rows_of_very_different_lengths_need_a_window(tmp_path, films, tiny):
    rows = [("short.mp4", float(start), start + 1.0) for start in range(4)]
    store = stretch_store(tmp_path / "s.zarr", films, [*rows, ("long.mp4", 0.0, np.nan)])
    with pytest.raises(UsageError, match=r"60 frames at --fps 5 .* at most 5: .*--window 30"):
        prepare(store.dataset("d"), SETTINGS, tiny)
    assert prepare(store.dataset("d"), replace(SETTINGS, frames=60), tiny).recipe.frames == 60
    with pytest.raises(UsageError, match="1 rows of d have more than 40 frames at --fps 5"):
        prepare(store.dataset("d"), replace(SETTINGS, frames=40), tiny)


@pytest.mark.parametrize(
    "settings", [SETTINGS, replace(SETTINGS, fps=None, every=5)], ids=["fps", "every"]
)
def test_what_is_longer_than_its_header_tells_loses_no_frame_silently(
    tmp_path, films, tiny, log, settings
):
    """A recording that was never closed does not tell its length; and no sum warns of it."""
    store = create_store(tmp_path / "s.zarr")
    table = stretch_table(films, [("short.mp4", 0.0, 2.0), ("long.mp4", 0.0, np.nan)])
    table.loc[1, ["duration_seconds", "num_frames", "fps"]] = 0
    write_videos(store.new_dataset("d"), table, [], str(films))
    report = extract_dataset(store.dataset("d"), settings, loaded=tiny)
    room = store.dataset("d").features(report.name).frames.shape[2]
    (line,) = [line for line in log if "longer than the scan could tell" in line]
    # 12 seconds of 25 frames: 60 of them.
    assert f"long.mp4@0-nan ({60 - room})" in line
    assert "--frames 60 " in line


def test_what_is_added_goes_on_with_the_room_there_is(tmp_path, films, tiny):
    rows = windows("short.mp4", 6, 2)
    store = stretch_store(tmp_path / "s.zarr", films, rows[:2])
    dataset = store.dataset("d")
    first = extract_dataset(dataset, SETTINGS, loaded=tiny)
    write_videos(dataset, stretch_table(films, [*rows, ("tiny.mp4", 0, np.nan)]), [], str(films))
    second = extract_dataset(dataset, SETTINGS, loaded=tiny)
    assert (second.id, second.encoded, second.sealed) == (first.id, 2, True)
    longer = [*rows, ("tiny.mp4", 0, np.nan), ("long.mp4", 0, 3.0)]
    write_videos(dataset, stretch_table(films, longer), [], str(films))
    with pytest.raises(UsageError, match=r"row 4\) have more than the 11 frames .* --frames 15"):
        extract_dataset(dataset, SETTINGS, loaded=tiny)


def test_whole_videos_have_rates_too(tmp_path, clips, tiny):
    store = scan(tmp_path / "s.zarr", clips)
    report = extract_dataset(store.dataset("d"), replace(SETTINGS, fps=12.5), loaded=tiny)
    features = store.dataset("d").features(report.name)
    assert features.num_valid[:].tolist() == [[6]] * 6
    np.testing.assert_allclose(features.timestamps[0], [np.arange(6) * 0.08 + 0.04], atol=1e-6)


def test_a_dry_run_counts_the_frames_of_each_row(tmp_path, films, tiny, monkeypatch):
    monkeypatch.setattr("vifistore.extract.prepare.load_model", lambda *_, **__: tiny)
    rows = [*windows("long.mp4", 12, 2.5), ("tiny.mp4", 0.0, np.nan)]
    store = stretch_store(tmp_path / "s.zarr", films, rows)
    plan = plan_dataset(store.dataset("d"), SETTINGS)
    assert plan["frames"] == 4 * 12 + 10 + 2
    # It may be quicker than what is told of it, a tenth of a second.
    assert plan["estimated_seconds"] is not None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"fps": -1.0}, "--fps is -1"),
        ({"fps": 0.0}, "--fps is 0; give a number of frames a second above 0"),
        ({"fps": None, "every": 0}, "--every is 0; give 1 or more, or leave it out"),
        ({"fps": float("nan")}, "--fps is nan"),
        ({"fps": 1e9}, "--fps is 1e"),
        ({"every": -2}, "--every is -2"),
        ({"every": 2}, "two rates; give one"),
        ({"clips": 2}, "leave --clips and --stride out"),
        ({"stride": 2}, "leave --clips and --stride out"),
    ],
)
def test_rates_that_are_none_are_refused(wrong, told):
    with pytest.raises(UsageError, match=told):
        replace(SETTINGS, **wrong)


@pytest.mark.parametrize("crops", [1, 3])
def test_a_frame_of_two_stretches_is_encoded_once(tmp_path, films, tiny, crops):
    settings = replace(SETTINGS, crops=crops)
    rows = [*windows("short.mp4", 6, 2, step=0.6), *windows("long.mp4", 12, 4, step=2)]
    store = stretch_store(tmp_path / "s.zarr", films, rows)
    report = extract_dataset(store.dataset("d"), settings, loaded=tiny)
    features = store.dataset("d").features(report.name)
    # At 5 a second both sets of moments coincide where they overlap.
    assert report.figures["frames_encoded"] == (30 + 60) * crops
    assert int(features.num_valid[:, 0].sum()) > 2 * (30 + 60) - 60
    for row, (name, start, end) in enumerate(rows):
        alone = stretch_store(tmp_path / f"{row}.zarr", films, [(name, start, end)])
        one = extract_dataset(alone.dataset("d"), replace(settings, frames=22), loaded=tiny)
        expected = alone.dataset("d").features(one.name)
        count = int(expected.num_valid[0, 0])
        assert features.num_valid[row].tolist() == [count] * crops
        np.testing.assert_array_equal(
            features.frames[row][:, :count], expected.frames[0][:, :count]
        )


def test_stretches_of_two_files_are_two_jobs():
    """Also where the second file's follow those of the first in time."""
    paths, starts = np.array(["a", "a", "b", "b"], object), np.array([0.0, 1.0, 2.0, 3.0])
    assert list(_neighbours([0, 1, 2, 3], paths, starts)) == [[0, 1], [2, 3]]
    assert list(_neighbours([1, 0], paths, starts)) == [[1], [0]]
