"""Texts that follow the video: cosines come with the embeddings, or later from what is kept."""

import json
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.scoring import load_classes, load_videos, score
from harness.text_choice import fitting_texts
from tests.vifistore.extract.conftest import scan, write_clip
from vifi.__main__ import run
from vifistore.errors import UsageError
from vifistore.extract.cosines_from_tokens import ensure_cosines
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset, plan_dataset
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_files import write_openclip
from vifistore.models.openclip_model import describe
from vifistore.models.registry import model_config
from vifistore.models.skeletons import new_model
from vifistore.models.system_modules import attach_added
from vifistore.models.towers import load_model
from vifistore.models.xclip.xclip_modules import XClipSizes
from vifistore.store import open_store
from vifistore.store.feature_record import PATCH_TOKENS
from vifistore.store.identity import Identity
from vifistore.store.names import set_name
from vifistore.store.similarities import Similarities, lacking_cosines, similarity_ids
from vifistore.store.similarity_costs import without_tokens
from vifistore.store.splits import Split, write_split
from vifistore.store.verifying.verify import verify_store

MODEL = "vifi-tiny"
FRAMES = 2
NEW = ["a slow walk", "something else", "red run"]


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file of a tiny X-CLIP with random weights."""
    clip = new_model(MODEL, 0)
    system = XClipSizes(frames=FRAMES).as_system()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        attach_added(clip, system)
        for weight in (*clip.visual.added.parameters(), *clip.added.parameters()):
            torch.nn.init.normal_(weight, std=0.3)
    header = CheckpointHeader(
        **{"model": MODEL, "config": model_config(MODEL), "name": "followed", "step": 0},
        **{"parent": "", "settings": {}, "system": system},
        identity=Identity(templates=("{}",)),
    )
    path = tmp_path_factory.mktemp("xclip") / "followed.safetensors"
    write_openclip(path, describe(clip.eval(), header))
    return path


@pytest.fixture
def loaded(weights):
    return load_model(MODEL, str(weights))


@pytest.fixture
def settings(weights):
    plain = {"precision": "fp32", "device": "cpu", "workers": 1}
    return ExtractSettings(model=MODEL, pretrained=str(weights), name="x", **plain)


def words(settings, verb, store, *more):
    """A command with the same model."""
    flags = ("--dataset", "d", "--model", MODEL, "--pretrained", settings.pretrained)
    return [verb, str(store.path), *flags, *more]


def cosines_of(store, name="x"):
    """Cosines [video view class] by the classes of their text set."""
    features = open_store(store.path).features("d", name)
    backend = features.dataset.backend
    found = {}
    for texts in similarity_ids(backend, features.path):
        classes = tuple(features.store.texts(texts).attrs["class_names"])
        found[classes] = Similarities(backend, features.path, texts).read(0, features.num_videos)
    return found


def by_hand(store, loaded, names, name="x"):
    """Cosines from stored arrays, one view at a time, by the plain modules."""
    features = open_store(store.path).features("d", name)
    texts = torch.from_numpy(loaded.text_side.encode(list(names)))[:, None]
    means, tokens = (torch.from_numpy(features.read(n)) for n in ("view_mean", PATCH_TOKENS))
    with torch.inference_mode():
        each = [
            loaded.clip.added.cosines(mean, kept.float(), texts)
            for mean, kept in zip(means, tokens, strict=True)
        ]
    return torch.stack(each).numpy()


def test_they_come_with_the_embeddings(store, loaded, settings):
    report = extract_dataset(store.dataset("d"), replace(settings, keep_tokens=True), loaded=loaded)
    assert report.sealed
    features = store.features("d", "x")
    assert features.frames.shape == (6, 1, 1, loaded.dim)
    tokens = features.read(PATCH_TOKENS)
    assert (tokens.dtype, tokens.shape) == (np.float16, (6, 1, 16, loaded.dim))
    names = ("blue jump", "red run")
    found = cosines_of(store)
    assert found.keys() == {names}
    assert np.abs(found[names] - by_hand(store, loaded, names)).max() < 1e-5
    # They do follow the video.
    assert np.ptp(found[names], axis=0).max() > 1e-3
    assert list(verify_store(open_store(store.path))) == []


def test_without_tokens_the_numbers_are_the_same(store, loaded, settings, tmp_path, clips):
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    assert PATCH_TOKENS not in store.features("d", "x").declared
    other = scan(tmp_path / "o.zarr", clips)
    extract_dataset(other.dataset("d"), replace(settings, keep_tokens=True), loaded=loaded)
    (plain,), (kept,) = (list(cosines_of(s).values()) for s in (store, other))
    np.testing.assert_array_equal(plain, kept)
    assert store.features("d", "x").id == other.features("d", "x").id


def test_a_stopped_run_goes_on_to_the_same_bytes(store, loaded, settings, tmp_path, clips):
    partial = extract_dataset(store.dataset("d"), settings, loaded=loaded, limit=2)
    assert not partial.sealed
    assert list(verify_store(open_store(store.path))) == []
    assert extract_dataset(store.dataset("d"), settings, loaded=loaded).sealed
    straight = scan(tmp_path / "straight.zarr", clips)
    extract_dataset(straight.dataset("d"), settings, loaded=loaded)
    (first,), (second,) = (list(cosines_of(s).values()) for s in (store, straight))
    np.testing.assert_array_equal(first, second)


def test_they_are_there_before_their_videos_count_as_done(store, loaded, settings, monkeypatch):
    class Stopped(Exception):
        pass

    def stop(self, group):
        raise Stopped

    monkeypatch.setattr("vifistore.store.writer.FeatureWriter.write_blocks", stop)
    with pytest.raises(Stopped):
        extract_dataset(store.dataset("d"), settings, loaded=loaded)
    (found,) = cosines_of(store).values()
    assert np.isfinite(found).all()
    assert store.features("d", "x").counts()["done"] == 0


def new_split(store) -> None:
    """A split with classes of its own."""
    rows, labels = np.arange(6), np.array([0, 1, 2] * 2, np.int32)
    members = {"rows": rows, "labels": labels, "class_names": NEW}
    write_split(store.dataset("d"), Split(name="new", **members, source="", digest="0" * 64))


def test_classes_that_come_later_need_no_video(tmp_path, clips, loaded, settings, capsys):
    videos = shutil.copytree(clips, tmp_path / "v")
    store = scan(tmp_path / "s.zarr", videos)
    extract_dataset(store.dataset("d"), replace(settings, keep_tokens=True), loaded=loaded)
    new_split(store)
    shutil.rmtree(videos)
    assert run(words(settings, "texts", store, "--json")) == 0
    # What it says of cosines is no part of the document.
    assert {made["classes"] for made in json.loads(capsys.readouterr().out)["texts"]} == {2, 3}
    found = cosines_of(store)[tuple(NEW)]
    assert np.abs(found - by_hand(store, loaded, NEW)).max() < 1e-5
    features = open_store(store.path).features("d", "x")
    scores = score(load_videos(features, "new"), load_classes(features, NEW))
    assert scores["embedding"].shape == (6, 3)
    assert list(verify_store(open_store(store.path))) == []


def test_whoever_scores_makes_what_is_missing(store, loaded, settings, tmp_path, capsys):
    extract_dataset(store.dataset("d"), replace(settings, keep_tokens=True), loaded=loaded)
    new_split(store)
    asked = ["evaluate", str(store.path), "zero-shot", "--dataset", "d", "--features", "x"]
    assert run([*asked, "--split", "new", "--results", str(tmp_path / "out")]) == 0
    assert "top1" in capsys.readouterr().out
    assert tuple(NEW) in cosines_of(store)
    # Once more, from what is kept by now.
    assert run([*asked, "--split", "new"]) == 0


def test_the_extraction_itself_fills_in_lists_that_came_later(store, loaded, settings):
    kept = replace(settings, keep_tokens=True)
    extract_dataset(store.dataset("d"), kept, loaded=loaded)
    new_split(store)
    # The flag is remembered: a set goes on as it was begun.
    report = extract_dataset(store.dataset("d"), settings, loaded=loaded)
    assert report.encoded == 0
    assert tuple(NEW) in cosines_of(store)


def test_without_tokens_both_costs_are_told(store, loaded, settings, log, capsys):
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    new_split(store)
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    told = "kept no patch tokens, so its 6 videos are encoded again: vifi rm"
    (line,) = [line for line in log if told in line]
    assert "--keep-tokens (0 MB" in line
    log.clear()
    assert run(words(settings, "texts", store)) == 0
    assert any(told in line for line in log)
    asked = ["evaluate", str(store.path), "zero-shot", "--dataset", "d", "--features", "x"]
    assert run([*asked, "--split", "new"]) == 2
    assert told in capsys.readouterr().err
    features = open_store(store.path, mode="a").features("d", "x")
    assert not ensure_cosines(features, loaded, [])
    set_name(features.dataset, "also", features.id, features.checkpoint, force=False)
    cost = without_tokens(features, store.checkpoint(features.checkpoint))
    assert " d/also d/x, then vifi extract " in cost
    capsys.readouterr()
    assert run(words(settings, "extract", store, "--dry-run", "--device", "cpu")) == 0
    assert "--keep-tokens now" not in capsys.readouterr().out
    with pytest.raises(UsageError, match="was made without --keep-tokens") as refused:
        extract_dataset(store.dataset("d"), replace(settings, keep_tokens=True), loaded=loaded)
    remedy = shlex.split(str(refused.value).partition(": vifi ")[2].partition(", then")[0])
    assert run([*remedy, "--yes"]) == 0
    kept = replace(settings, keep_tokens=True)
    assert extract_dataset(store.dataset("d"), kept, loaded=loaded).encoded == 6
    plain = replace(settings, keep_tokens=True, name="p", pretrained="none")
    with pytest.raises(UsageError, match="those of vifi-tiny follow none; leave it out"):
        extract_dataset(store.dataset("d"), plain)


@pytest.mark.parametrize("keep", [False, True])
def test_a_dry_run_tells_what_tokens_take(store, settings, capsys, keep):
    wanted = replace(settings, keep_tokens=keep)
    plan = plan_dataset(store.dataset("d"), wanted)
    of_view = 16 * 64 * 2
    assert (plan["token_bytes_of_view"], plan["token_bytes"]) == (of_view, 6 * of_view)
    flags = ["--dry-run", "--device", "cpu", *(["--keep-tokens"] if keep else [])]
    assert run(words(settings, "extract", store, *flags)) == 0
    out = capsys.readouterr().out
    told = "classes that come later take no video" if keep else "or --keep-tokens now"
    assert told in out
    assert "2,048 bytes a view" in out


def test_new_videos_and_mended_ones_get_theirs(tmp_path, loaded, settings):
    write_clip(tmp_path / "v" / "run" / "a.mp4", seed=1)
    (tmp_path / "v" / "run" / "b.mp4").write_text("no video")
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    write_clip(tmp_path / "v" / "run" / "b.mp4", seed=2)
    report = extract_dataset(store.dataset("d"), settings, loaded=loaded, retry=True)
    assert report.sealed
    (first,) = cosines_of(store).values()
    assert np.isfinite(first).all()
    write_clip(tmp_path / "v" / "run" / "c.mp4", seed=3)
    shutil.copy(tmp_path / "v" / "run" / "c.mp4", tmp_path / "v" / "run" / "d.mp4")
    scan(store.path, tmp_path / "v")
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    (grown,) = cosines_of(store).values()
    np.testing.assert_array_equal(grown[:2], first)
    assert np.isfinite(grown).all()
    np.testing.assert_array_equal(grown[2], grown[3])
    assert list(verify_store(open_store(store.path))) == []


def test_no_checkpoint_makes_those_of_another(tmp_path, weights, loaded, settings):
    """Two that share an image tower share a set, and grow it; their texts follow otherwise."""
    write_clip(tmp_path / "v" / "run" / "a.mp4", seed=1)
    store = scan(tmp_path / "s.zarr", tmp_path / "v")
    kept = replace(settings, keep_tokens=True)
    extract_dataset(store.dataset("d"), kept, loaded=loaded)
    write_clip(tmp_path / "v" / "run" / "b.mp4", seed=2)
    scan(store.path, tmp_path / "v")
    other = load_model(MODEL, str(weights))
    other.clip.added.alpha.data += 1
    other.text_digest = "e" * 64
    extract_dataset(store.dataset("d"), replace(kept, name="other"), loaded=other)
    features = open_store(store.path, mode="a").features("d", "x")
    (own,) = fitting_texts(store, store.checkpoint(loaded.digest), ["run"])
    assert lacking_cosines(features, [own["id"]]) == [own["id"]]
    ensure_cosines(features, loaded, [own["id"]])
    found = Similarities(features.dataset.backend, features.path, own["id"]).read(0, 2)
    assert np.abs(found - by_hand(store, loaded, ["run"])).max() < 1e-5


def test_a_copy_would_lack_them(tmp_path, clips, loaded, settings):
    store = scan(tmp_path / "s.zarr", clips)
    extract_dataset(store.dataset("d"), settings, loaded=loaded)
    scan(store.path, clips, "other")
    report = extract_dataset(store.dataset("other"), settings, loaded=loaded)
    assert (report.encoded, report.reused) == (6, 0)
    assert list(verify_store(open_store(store.path))) == []
