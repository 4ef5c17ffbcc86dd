import numpy as np
import pytest

from harness import ablations
from harness.ablations import (
    Ablation,
    blend_ablation,
    blend_shares,
    evenly_spaced,
    frames_ablation,
    fusion_matrix,
    missing_of_table5,
    templates_ablation,
    views_ablation,
)
from harness.protocols.zero_shot import zero_shot
from harness.scoring import load_videos
from vifistore.errors import UsageError


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=100)
    maker.features(maker.frames(num_views=3, num_frames=8, noise=4.0))
    maker.texts()
    return maker


def test_evenly_spaced_is_the_rule_for_test_frames():
    assert evenly_spaced(32, 4, "frames").tolist() == [4, 12, 20, 28]
    assert evenly_spaced(5, 2, "frames").tolist() == [1, 3]
    assert evenly_spaced(7, 7, "frames").tolist() == list(range(7))
    for wrong in (0, 9):
        with pytest.raises(UsageError, match=f"{wrong} frames cannot be chosen from the 8 cached"):
            evenly_spaced(8, wrong, "frames")


def test_fewer_frames_and_all_of_them(maker, value_of):
    rows = frames_ablation(maker.store.features("toy", "tiny"), (1, 8))
    single = {row.value for row in rows if row.metric == "top1" and row.num_frames == 1}
    assert len(single) == 1, "one frame makes the fusions agree"
    whole = value_of(zero_shot(maker.store.features("toy", "tiny")), metric="top1").value
    chosen = {"metric": "top1", "fusion": "embedding"}
    row = value_of(rows, num_frames=8, **chosen)
    assert row.value == whole
    assert row.protocol == "ablation-frames"
    assert value_of(rows, num_frames=1, **chosen).value < whole


def test_videos_are_loaded_once_for_all_choices(maker, monkeypatch):
    loaded = []

    def load(*given, **settings):
        loaded.append(given)
        return load_videos(*given, **settings)

    monkeypatch.setattr(ablations, "load_videos", load)
    features = maker.store.features("toy", "tiny")
    frames_ablation(features, (1, 2, 4, 8))
    views_ablation(features, (1, 2, 3))
    templates_ablation(features, [maker.store.find_texts()[0]["id"]] * 2)
    assert len(loaded) == 3


def test_fewer_views(maker, value_of):
    rows = views_ablation(maker.store.features("toy", "tiny"), (1, 3))
    chosen = {"metric": "top1", "fusion": "embedding"}
    whole = value_of(zero_shot(maker.store.features("toy", "tiny")), metric="top1").value
    assert value_of(rows, num_views=3, **chosen).value == whole
    assert value_of(rows, num_views=1, **chosen).value < whole


def test_templates(maker, value_of):
    noisy = maker.texts(templates=("a {}",), noise=3.0)
    plain = maker.store.find_texts(templates=["{}"])[0]["id"]
    settings = Ablation(fusions=("decision",))
    rows = templates_ablation(
        maker.store.features("toy", "tiny"), (plain, noisy), settings=settings
    )
    values = {row.template: row.value for row in rows if row.metric == "top1"}
    assert values["{}"] > values["a {}"]


def test_fusion_matrix_and_the_papers_table(maker, value_of):
    for seed, fusion in enumerate(("embedding", "decision", "image")):
        frames = maker.frames(num_frames=4, noise=3.0, seed=seed)
        maker.features(frames, name=fusion, checkpoint=fusion, fusion=fusion)
        maker.texts(fusion)
    names = ("embedding", "decision")
    rows = fusion_matrix([maker.store.features("toy", name) for name in names])
    matrix = {(r.trained_fusion, r.fusion) for r in rows if r.metric == "top1"}
    assert len(matrix) == 6
    assert missing_of_table5(rows) == ["image"]
    rows = fusion_matrix([maker.store.features("toy", name) for name in (*names, "image")])
    assert missing_of_table5(rows) == []
    assert len({row.key for row in rows}) == len(rows), "no row overwrites another"


def test_mean_only_set_has_no_frames(maker):
    features = maker.store.features("toy", "tiny")
    (maker.store.backend.folder / features.path / "frames" / "zarr.json").unlink()
    with pytest.raises(UsageError, match="has no frames"):
        frames_ablation(maker.store.features("toy", "tiny"), (1,))
    with pytest.raises(UsageError, match="has no frames"):
        zero_shot(maker.store.features("toy", "tiny"), settings=Ablation(fusions=("image",)))
    assert zero_shot(maker.store.features("toy", "tiny"))


def test_seeds_of_random_choices_do_not_leak(maker):
    first = views_ablation(maker.store.features("toy", "tiny"), (2,))
    np.random.default_rng().random()
    second = views_ablation(maker.store.features("toy", "tiny"), (2,))
    assert [r.value for r in first] == [r.value for r in second]
    assert [r.ci_low for r in first] == [r.ci_low for r in second]


def test_blends_are_scored_with_both_their_ends(maker):
    start = maker.checkpoint("start")
    for number, (kind, step) in enumerate((("trained", 9), ("blend-0.5", 9), ("trained", 4))):
        name = f"{kind}-{step}"
        frames = maker.frames(num_frames=5 + number, noise=3.0, seed=number)
        maker.features(frames, name=name, checkpoint=name, parent=start, step=step, kind=kind)
        maker.texts(name)
    maker.features(maker.frames(num_frames=9), name="start", checkpoint="start")
    maker.texts("start")
    names = ("trained-9", "blend-0.5-9", "start", "tiny", "trained-4")
    shares = {"start": 0.0, "blend-0.5-9": 0.5, "trained-9": 1.0}
    sets = [maker.store.features("toy", name) for name in names]
    assert {features.name: share for features, share in blend_shares(sets).items()} == shares
    rows = blend_ablation(
        [maker.store.features("toy", name) for name in names],
        settings=Ablation(fusions=("decision",)),
    )
    found = [
        (row.feature_names[0], row.provenance["blend"]) for row in rows if row.metric == "top1"
    ]
    assert found == list(shares.items())
    assert {row.protocol for row in rows} == {"ablation-blend"}
    assert (
        blend_ablation(
            [maker.store.features("toy", "start"), maker.store.features("toy", "trained-9")]
        )
        == []
    )
