"""Videos in, embeddings out: they are OpenCLIP's own, and a stop loses no finished block."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from tests.vifistore.extract.conftest import scan, write_clip
from vifistore.errors import ModelError, UnknownNameError, UsageError
from vifistore.extract.encoder import Encoder
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.extract.prepare import prepare
from vifistore.extract.ranks import parse_blocks
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.towers import load_model
from vifistore.store.schema import FEATURE_ARRAYS

SETTINGS = ExtractSettings(
    model="vifi-tiny", pretrained="none", frames=4, precision="fp32", device="cpu", workers=1
)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """L2 distance over L2 length."""
    return float((found - expected).norm() / expected.norm())


def openclip_pixels(frames: np.ndarray, transform) -> torch.Tensor:
    """float32 [frame 3 size size] by OpenCLIP's own transform."""
    return torch.stack([transform(Image.fromarray(frame)) for frame in frames])


def levels(pixels: torch.Tensor, recipe) -> torch.Tensor:
    """Normalised pixels back in [0, 1]."""
    std, mean = (torch.tensor(v).view(3, 1, 1) for v in (recipe.std, recipe.mean))
    return pixels * std + mean


def check_against_openclip(model: str, path, weights) -> None:
    """Pixels within one grey level and embeddings within 1e-4 of OpenCLIP's; else it fails."""
    state = new_model(model, seed=1).state_dict()
    header = CheckpointHeader(
        model=model, config=model_config(model), name="w", step=0, parent="", settings={}
    )
    save_checkpoint(weights, state, header)
    loaded = load_model(model, str(weights))
    theirs, _, transform = open_clip.create_model_and_transforms(model, pretrained=str(weights))
    recipe = preprocessing_of("openclip", loaded.preprocess_config, crops=1)
    decoded = decode_video(path, frames=4, clips=1, decoder="decord")
    frames = torch.from_numpy(decoded.frames)

    expected_pixels = openclip_pixels(decoded.frames, transform)
    (pixels,) = preprocess(frames, recipe, crops=1)
    one_level = 1 / 255 + 1e-6
    assert (levels(pixels, recipe) - levels(expected_pixels, recipe)).abs().max() < one_level
    blunt = dataclasses.replace(recipe, antialias=False)
    (wrong,) = preprocess(frames, blunt, crops=1)
    assert (levels(wrong, recipe) - levels(expected_pixels, recipe)).abs().max() > one_level

    with torch.inference_mode():
        expected = theirs.eval().encode_image(expected_pixels)

    def encoded(pixels: torch.Tensor, using=loaded) -> torch.Tensor:
        encoder = Encoder(using, precision="fp32", device=torch.device("cpu"), batch=3)
        return next(encoder.encode([(0, pixels)]))[1]

    assert relative_error(encoded(pixels), expected) < 1e-4
    assert relative_error(encoded(wrong), expected) > 1e-4
    statistics = dataclasses.replace(recipe, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert relative_error(encoded(preprocess(frames, statistics, crops=1)[0]), expected) > 1e-4
    for block in loaded.clip.visual.transformer.resblocks:
        gelu = block.mlp.gelu
        quick = isinstance(gelu, open_clip.transformer.QuickGELU)
        block.mlp.gelu = torch.nn.GELU() if quick else open_clip.transformer.QuickGELU()
    assert relative_error(encoded(pixels), expected) > 1e-4


def test_embeddings_are_openclips_own(clips, tmp_path):
    path = clips / "red run" / "1.mp4"
    check_against_openclip("vifi-tiny", path, tmp_path / "w.safetensors")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("model", "clip"),
    [
        ("vifi-tiny", "k400/yoga/Tw2yXa6CzWE.mp4"),
        ("ViT-B-32", "ucf101/Archery/v_Archery_g01_c06.avi"),
        ("ViT-B-16-quickgelu", "anet/walking_the_dog/v_ZNVhz7ctTq0.mp4"),
    ],
)
def test_embeddings_of_real_clips_are_openclips_own(shared, tmp_path, model, clip):
    check_against_openclip(model, shared / "videos" / "action" / clip, tmp_path / "w.safetensors")


def test_whole_job(store, tiny):
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined, report.sealed) == (6, 0, True)
    assert report.name == "vifi-tiny@random.4f"
    features = store.features("d", report.name)
    assert features.read("frames").shape == (6, 1, 4, tiny.config["embed_dim"])
    exact = features.read("frames").astype(np.float64)
    np.testing.assert_allclose(features.read("view_mean"), exact.mean(axis=2), atol=1e-6)
    unit = exact / np.linalg.norm(exact, axis=-1, keepdims=True)
    np.testing.assert_allclose(features.read("view_consensus"), unit.mean(axis=2), atol=1e-6)
    assert (np.diff(features.read("timestamps"), axis=-1) > 0).all()
    (texts,) = store.find_texts(class_names=["blue jump", "red run"])
    assert texts["text_digest"] == tiny.text_digest
    again = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (again.encoded, again.sealed, again.id) == (0, True, report.id)


def test_a_resumed_run_gives_the_same_bytes(store, tiny, tmp_path, clips):
    partial = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=2)
    assert (partial.encoded, partial.sealed) == (2, False)
    resumed = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (resumed.encoded, resumed.sealed) == (4, True)
    straight = scan(tmp_path / "straight.zarr", clips)
    assert extract_dataset(straight.dataset("d"), SETTINGS, loaded=tiny).id == resumed.id
    for name in FEATURE_ARRAYS:
        first, second = (s.features("d", resumed.id).read(name) for s in (store, straight))
        np.testing.assert_array_equal(first, second)


def test_another_batch_size_is_the_same_feature_set(store, tiny):
    first = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=2)
    other = dataclasses.replace(SETTINGS, batch=5)
    assert extract_dataset(store.dataset("d"), other, loaded=tiny).id == first.id


def test_views_are_crop_major(tmp_path, tiny):
    write_clip(tmp_path / "v" / "a.mp4", seed=3, size=(96, 48), num_frames=20)
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    settings = dataclasses.replace(SETTINGS, clips=2, crops=3)
    extract_dataset(store.dataset("d"), settings, loaded=tiny)
    frames = store.features("d", "vifi-tiny@random.4f.2x3v").read("frames")[0]
    decoded = decode_video(tmp_path / "v" / "a.mp4", frames=4, clips=2, decoder="decord")
    recipe = preprocessing_of("openclip", tiny.preprocess_config, crops=3)
    pixels = preprocess(torch.from_numpy(decoded.frames), recipe, crops=3)
    times = store.features("d", "vifi-tiny@random.4f.2x3v").read("timestamps")[0]
    np.testing.assert_array_equal(times, np.tile(decoded.timestamps.reshape(2, 4), (3, 1)))
    for crop, clip in itertools.product(range(3), range(2)):
        with torch.inference_mode():
            expected = tiny.clip.encode_image(pixels[crop][decoded.index[clip]]).numpy()
        np.testing.assert_allclose(frames[2 * crop + clip], expected, rtol=1e-2, atol=2e-3)


def test_bad_videos_are_quarantined_and_the_rest_goes_on(tmp_path, clips, tiny):
    folder = tmp_path / "v"
    write_clip(folder / "good.mp4", seed=1)
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("no video at all")
    (folder / "gone.mp4").write_bytes((folder / "good.mp4").read_bytes())
    store = scan(tmp_path / "s.zarr", folder)
    (folder / "gone.mp4").unlink()
    report = extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    assert (report.encoded, report.quarantined, report.sealed) == (1, 3, True)
    videos = store.videos("d")
    found = {
        videos["path"][entry["row"]]: entry["reason"]
        for entry in store.features("d", report.id).quarantine()
    }
    assert found == {"empty.mp4": "empty", "gone.mp4": "missing", "text.mp4": "not a video"}


def test_a_gpu_that_is_too_small_is_told_in_a_line(store, tiny, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 8 GiB")

    monkeypatch.setattr(Encoder, "_encode", full)
    with pytest.raises(UsageError, match=r"is too small .* give a smaller --batch"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    monkeypatch.undo()
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).encoded == 6


@pytest.mark.parametrize("wrong", [float("nan"), 1e6])
def test_embeddings_that_are_not_finite_are_never_sealed(store, tiny, monkeypatch, wrong):
    encode = Encoder._encode

    def damaged(self, pixels):
        return {name: value * 0 + wrong for name, value in encode(self, pixels).items()}

    monkeypatch.setattr(Encoder, "_encode", damaged)
    with pytest.raises(ModelError, match=r"for 6 videos \(first: row 0\); .* --precision fp32"):
        extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    (name,) = store.dataset("d").feature_ids()
    assert (store.features("d", name).sealed, store.features("d", name).counts()["todo"]) == (
        None,
        6,
    )
    monkeypatch.undo()
    assert extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny).sealed


def test_a_dataset_that_grows_meanwhile_has_the_videos_of_when_it_was_prepared(
    store, tiny, monkeypatch
):
    job = prepare(store.dataset("d"), SETTINGS, tiny)
    before = job.shape
    monkeypatch.setattr(type(job.dataset), "num_videos", property(lambda _: before.video + 1))
    assert job.shape == before


def test_name_that_is_taken_leaves_no_trace(store, tiny):
    named = dataclasses.replace(SETTINGS, name="mine")
    extract_dataset(store.dataset("d"), named, loaded=tiny)
    other = dataclasses.replace(named, frames=2)
    with pytest.raises(UsageError, match="already stands for"):
        extract_dataset(store.dataset("d"), other, loaded=tiny)
    assert len(store.dataset("d").feature_ids()) == 1


def test_plan_says_what_is_left(store, tiny, monkeypatch):
    monkeypatch.setattr("vifistore.extract.prepare.load_model", lambda *_, **options: tiny)
    before = plan_dataset(store.dataset("d"), SETTINGS)
    assert (before["videos"], before["todo"], before["frames"]) == (6, 6, 24)
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny, limit=4)
    assert plan_dataset(store.dataset("d"), SETTINGS)["todo"] == 2


@pytest.mark.parametrize("text", ["", "1", "a:b", "1:1", "0:9", "-1:1"])
def test_wrong_blocks(text):
    with pytest.raises(UsageError, match="--blocks is"):
        parse_blocks(text, 130)


def test_blocks():
    assert parse_blocks("1:3", 130) == range(1, 3)
    assert parse_blocks(":2", 130) == range(2)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"frames": 0}, {"crops": 2}, {"precision": "fp8"}),
        *({"timeout": 0.0}, {"timeout": float("nan")}, {"frame_cache_gb": float("inf")}),
        *({"worker_memory_gb": -1.0}, {"worker_memory_gb": float("nan")}),
    ],
)
def test_wrong_settings(wrong):
    flag = next(iter(wrong)).replace("_", "-")
    with pytest.raises(UsageError, match=f"--{flag} is"):
        dataclasses.replace(SETTINGS, **wrong)


def test_unknown_dataset(store, tiny):
    with pytest.raises(UnknownNameError, match="There are: d"):
        extract_dataset(store.dataset("e"), SETTINGS, loaded=tiny)
