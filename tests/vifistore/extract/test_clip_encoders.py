"""Encoders that see the frames of a view together go through the pipeline as image towers do."""

import dataclasses
import itertools
import shutil

import numpy as np
import pytest
import torch

from tests.vifistore.extract.clip_encoder import (
    DIM,
    NUM_FRAMES,
    NUM_OUTPUTS,
    Tower,
    clip_model,
    single_model,
)
from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.errors import ModelError, UsageError
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.extract.prepare import prepare
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.store import open_store
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.schema import FEATURE_ARRAYS
from vifistore.store.verifying.verify import verify_store

SETTINGS = ExtractSettings(
    model="tests:clip", pretrained="first", precision="fp32", device="cpu", workers=1
)
NAME = "tests-clip@first.4f"


def arrays(store, name) -> dict[str, np.ndarray]:
    features = store.features("d", name)
    return {n: features.read(n) for n in (*FEATURE_ARRAYS, *features.declared)}


def same(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(
        np.array_equal(first[n], second[n], equal_nan=first[n].dtype.kind == "f") for n in first
    )


@pytest.mark.parametrize("stride", [-1, 10**20])
def test_a_stride_that_no_video_has_is_refused(stride):
    with pytest.raises(UsageError, match=r"--stride is .* give"):
        dataclasses.replace(SETTINGS, stride=stride)


@pytest.mark.parametrize("stride", [0, 2])
def test_views_of_every_crop_and_clip_are_encoded_whole(tmp_path, stride):
    path = tmp_path / "v" / "a.mp4"
    write_clip(path, seed=3, size=(96, 48), num_frames=20)
    store, model = scan(tmp_path / "s.zarr", tmp_path / "v"), clip_model()
    settings = dataclasses.replace(SETTINGS, clips=2, crops=3, stride=stride)
    report = extract_dataset(store.dataset("d"), settings, loaded=model)
    features = store.features("d", report.name)
    assert report.name == NAME + (".2s" if stride else "") + ".2x3v"
    assert features.frames.shape == (1, 6, NUM_OUTPUTS, DIM)
    recipe = features.recipe
    assert (recipe["kind"], recipe["frames"], recipe["outputs"]) == ("clip", 4, 2)
    assert (recipe.get("stride", 0), "stride" in recipe) == (stride, stride > 0)

    decoded = decode_video(path, frames=4, clips=2, stride=stride, decoder="decord")
    pixels_of = preprocessing_of("openclip", model.preprocess_config, crops=3)
    pixels = preprocess(torch.from_numpy(decoded.frames), pixels_of, crops=3)
    for crop, clip in itertools.product(range(3), range(2)):
        given = model.tower(pixels[crop][decoded.index[clip]][None])
        view = 2 * crop + clip
        expected = given["frames"][0].detach().numpy()
        np.testing.assert_allclose(features.frames[0, view], expected, rtol=2e-3, atol=2e-3)
        patches = given["patches"][0].numpy()
        np.testing.assert_allclose(features.read("patches")[0, view], patches, atol=2e-3)
    # Each embedding is of half of the frames.
    times = decoded.timestamps.reshape(2, 2, 2).mean(2)
    np.testing.assert_allclose(features.read("timestamps")[0], np.tile(times, (3, 1)), rtol=1e-6)
    assert list(verify_store(store)) == []


def test_a_resumed_run_gives_the_same_bytes(store, tmp_path, clips):
    settings = dataclasses.replace(SETTINGS, batch=3 * NUM_FRAMES)
    partial = extract_dataset(store.dataset("d"), settings, loaded=clip_model(), limit=2)
    assert (partial.encoded, partial.sealed) == (2, False)
    assert extract_dataset(store.dataset("d"), settings, loaded=clip_model()).encoded == 4
    straight = scan(tmp_path / "straight.zarr", clips)
    extract_dataset(straight.dataset("d"), settings, loaded=clip_model())
    assert same(arrays(store, NAME), arrays(straight, NAME))


def test_frames_from_the_cache_give_the_same_bytes(store, tmp_path, clips):
    settings = dataclasses.replace(SETTINGS, stride=2, frame_cache=tmp_path / "cache")
    extract_dataset(store.dataset("d"), settings, loaded=clip_model())
    shutil.move(store.path, tmp_path / "first.zarr")
    again = scan(tmp_path / "again.zarr", clips)
    for path in again.videos("d")["path"]:
        assert (clips / path).is_file()
    extract_dataset(again.dataset("d"), settings, loaded=clip_model())
    plain = scan(tmp_path / "plain.zarr", clips)
    without = dataclasses.replace(settings, frame_cache=None)
    extract_dataset(plain.dataset("d"), without, loaded=clip_model())
    assert same(arrays(again, NAME + ".2s"), arrays(plain, NAME + ".2s"))


def test_equal_files_are_copied_with_what_lies_beside_their_frames(tmp_path):
    write_clip(tmp_path / "v" / "a.mp4", seed=1)
    shutil.copy(tmp_path / "v" / "a.mp4", tmp_path / "v" / "b.mp4")
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model())
    assert (report.encoded, report.reused) == (1, 1)
    found = arrays(store, report.name)
    np.testing.assert_array_equal(found["patches"][0], found["patches"][1])
    assert np.abs(found["patches"]).max() > 0
    other = scan(tmp_path / "s.zarr", tmp_path / "v", "other")
    report = extract_dataset(other.dataset("other"), SETTINGS, loaded=clip_model())
    assert (report.encoded, report.reused) == (0, 2)
    copied = store.features("other", report.name).read("patches")
    np.testing.assert_array_equal(copied, found["patches"])


def test_quarantined_videos_have_nothing_beside_their_frames(tmp_path):
    write_clip(tmp_path / "v" / "a.mp4", seed=1)
    (tmp_path / "v" / "b.mp4").write_text("no video")
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model())
    assert (report.encoded, report.quarantined) == (1, 1)
    patches = store.features("d", report.name).read("patches")
    assert np.isfinite(patches[0]).all()
    assert np.isnan(patches[1]).all()


@pytest.mark.parametrize("lost", ["c.0.0.0.0", "zarr.json"])
def test_damage_beside_the_frames_is_found_and_repaired(store, lost):
    settings = dataclasses.replace(SETTINGS, stride=2)
    report = extract_dataset(store.dataset("d"), settings, loaded=clip_model())
    before = arrays(store, report.name)
    (store.path / store.features("d", report.id).path / "patches" / lost).unlink()
    found = [problem for problem in verify_store(store) if "patches" in problem.where]
    assert {problem.remedy.endswith("--repair") for problem in found} == {True}
    assert "--model tests:clip --pretrained first" in found[-1].remedy
    assert "--frames 4 --clips 1 --stride 2 --crops 1" in found[-1].remedy
    extract_dataset(store.dataset("d"), settings, loaded=clip_model(), repair=True)
    assert list(verify_store(store)) == []
    assert same(arrays(store, report.name), before)


@pytest.mark.parametrize("format", ["hdf5", "zarr"])
def test_a_set_is_exported_and_imported_whole(store, tmp_path, format):
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model())
    out = tmp_path / "out"
    what = {"dataset": "d", "features": report.name}
    export_features(open_store(store.path), ExportSettings(**what, format=format, out=out))
    import_features(tmp_path / "new.zarr", out, ImportSettings(dataset="d", format=format))
    found = open_store(tmp_path / "new.zarr")
    assert found.features("d", report.name).recipe == store.features("d", report.name).recipe
    assert same(arrays(found, report.name), arrays(store, report.name))
    assert list(verify_store(found)) == []


def test_quarantined_videos_are_tried_again(tmp_path):
    write_clip(tmp_path / "v" / "a.mp4", seed=1)
    (tmp_path / "v" / "b.mp4").write_text("no video")
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model())
    first = arrays(store, report.name)
    write_clip(tmp_path / "v" / "b.mp4", seed=2)
    again = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model(), retry=True)
    assert (again.encoded, again.sealed) == (1, True)
    second = arrays(store, report.name)
    assert np.isfinite(second["patches"][1]).all()
    np.testing.assert_array_equal(second["patches"][0], first["patches"][0])
    assert list(verify_store(store)) == []


def test_a_set_of_another_encoder_is_another_set(store):
    first = extract_dataset(store.dataset("d"), SETTINGS, loaded=clip_model())
    second = extract_dataset(store.dataset("d"), SETTINGS, loaded=single_model(name="single"))
    assert first.id != second.id
    single = store.features("d", second.name)
    assert single.frames.shape == (6, 1, 1, DIM)
    np.testing.assert_array_equal(single.declared.keys(), set())
    times = single.read("timestamps")
    np.testing.assert_allclose(
        times[..., 0], store.features("d", first.name).read("timestamps").mean(-1), rtol=1e-6
    )


def test_what_an_encoder_needs_is_told_before_anything_is_written(store):
    with pytest.raises(UsageError, match="sees 4 frames together; give --frames 4"):
        prepare(store.dataset("d"), dataclasses.replace(SETTINGS, frames=8), clip_model())
    called = type("Called", (ExtractSettings,), {"frames_flag": "num-frames"})
    settings = called(model="tests:clip", pretrained="first", frames=8, device="cpu")
    with pytest.raises(UsageError, match=r"--num-frames is 8, .* give --num-frames 4"):
        prepare(store.dataset("d"), settings, clip_model())
    any_number = clip_model(num_frames=0)
    with pytest.raises(UsageError, match="gives 2 embeddings of a view; give at least as many"):
        prepare(store.dataset("d"), dataclasses.replace(SETTINGS, frames=1), any_number)
    assert store.dataset("d").feature_ids() == []


@pytest.mark.parametrize("num_frames", [NUM_FRAMES, 0])
def test_a_plan_counts_outputs_and_what_lies_beside_them(store, monkeypatch, num_frames):
    model = clip_model(num_frames=num_frames)
    monkeypatch.setattr("vifistore.extract.prepare.load_model", lambda *_, **__: model)
    plan = plan_dataset(store.dataset("d"), dataclasses.replace(SETTINGS, frames=NUM_FRAMES))
    per_view = NUM_OUTPUTS * (DIM * 2 + 4) + DIM * 8 + 4 * 3 * 2
    assert (plan["frames"], plan["bytes"]) == (6 * NUM_FRAMES, 6 * per_view)
    # Rounded to tenths, it may be none.
    assert plan["estimated_seconds"] >= 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"num_outputs": 3}, r"gives \[1, 2, 5\] as frames of one view, .* says \[1, 3, 5\]"),
        ({"config": {"embed_dim": 7}}, r"gives \[1, 2, 5\] as frames"),
        ({"further": {}}, r"gives \[1, 4, 3\] as patches .* says nothing"),
        ({"tower": Tower(has_patches=False)}, "gives"),
    ],
)
def test_a_tower_that_gives_something_else_is_refused(wrong, told):
    with pytest.raises(ModelError, match=told):
        Encoder(clip_model(**wrong), precision="fp32", device=torch.device("cpu"))


def test_batches_hold_whole_views_of_about_as_many_frames():
    def rows(**options) -> int:
        cpu = torch.device("cpu")
        return Encoder(clip_model(), precision="fp32", device=cpu, **options).batch

    assert (rows(), rows(batch=9), rows(batch=1)) == (32 // NUM_FRAMES, 2, 1)


def test_embeddings_of_zeros_are_refused(store):
    model = clip_model()
    with torch.no_grad():
        model.tower.weights.zero_()
    with pytest.raises(ModelError, match="nothing but zeros for 6 videos"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=model)


def test_numbers_that_are_not_finite_beside_the_frames_are_refused(store):
    model = clip_model()
    with torch.no_grad():
        model.tower.weights.mul_(1)
    model.tower.forward = _with_infinite_patches(model.tower.forward)
    with pytest.raises(ModelError, match="not finite, or too large for float16, for 6 videos"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=model)


def _with_infinite_patches(forward):
    def changed(pixels):
        given = forward(pixels)
        return given | {"patches": given["patches"] + 1e6}

    return changed
