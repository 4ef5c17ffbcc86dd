import pytest
import torch

from benchmarks import tower_ways
from tests.vifistore.models.random_towers import tower_of
from vifistore.models.registry import open_clip

# Private operators of torch, which a release may take away.
HAS_LAID = hasattr(torch.ops.mkldnn, "_reorder_linear_weight")


def test_every_way_gives_the_embeddings_and_is_timed(monkeypatch):
    monkeypatch.setattr(tower_ways, "find_spec", lambda name: None)
    ways = ("last", "packed", *(("oneDNN",) if HAS_LAID else ()))
    settings = tower_ways.TowerWays(models=("vifi-tiny",), batches=(3,), ways=ways, rounds=2)
    rows = list(tower_ways.run(settings))
    assert [row["way"] for row in rows] == ["openclip", *ways]
    assert all(row["lowest_cosine_with_fp32"] > 0.999 for row in rows)
    assert all(min(row["ratio"], row["share_of_matmul"]) > 0 for row in rows)
    assert [row["same_bytes"] for row in rows][:2] == [True, True]
    assert rows[0]["ratio"] == 1


def test_rounds_begin_with_another_way_each_time(monkeypatch):
    seen: list[str] = []
    ways = {name: lambda pixels, name=name: seen.append(name) for name in "abc"}
    for number in range(2):
        assert tower_ways._round(ways, torch.zeros(1), number).keys() == {"a", "b", "c"}
    assert seen == [*"abc", *"bca"]


@pytest.mark.skipif(not HAS_LAID, reason="this torch has no such operators")
def test_quick_gelu_is_a_swish_of_scaled_weights():
    tower = tower_of(act_layer=open_clip.transformer.QuickGELU)
    pixels = torch.randn(3, 3, 32, 32)
    found = tower_ways.WAYS["oneDNN"](tower, pixels)(pixels)
    with torch.inference_mode():
        exact = tower(pixels)
    assert torch.cosine_similarity(found, exact).min() > 0.9995
