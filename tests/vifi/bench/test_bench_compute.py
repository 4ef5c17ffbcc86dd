"""The costs of a model are those published, and fill the cells of the tables."""

import json
from dataclasses import replace

import pytest

from harness.results.json_artefacts import Cost
from vifi.bench import compute
from vifi.bench.arithmetic import image_flops
from vifi.bench.bench_settings import Compute
from vifi.bench.counting import added_counts, cost_counts, image_counts, text_counts
from vifistore.errors import UsageError
from vifistore.models.actionclip.temporal_transformer import PoolingShape
from vifistore.models.checkpoint_files import CheckpointHeader
from vifistore.models.openclip_model import OpenClipModel, describe
from vifistore.models.registry import model_config
from vifistore.models.system_modules import attach_added
from vifistore.models.towers import load_model
from vifistore.training.heads.head_files import HeadHeader, PromptsShape, new_head, save_head

TINY = Compute(model="vifi-tiny", device="cpu", repeats=1, frames=4, classes=3)


@pytest.fixture
def head_file(tmp_path):
    header = HeadHeader(
        kind="a5",
        pooling=PoolingShape(dim=64, num_frames=4, layers=1),
        prompts=PromptsShape(num_each_side=1, context_length=16, width=64),
        image_digest="",
        text_digest="",
        parent="",
        settings={},
        trained_on={},
        step=0,
    )
    save_head(tmp_path / "h.safetensors", new_head(header))
    return tmp_path / "h.safetensors"


def test_vit_b_16_costs_what_is_published():
    """17.56 billion multiply-accumulates a frame, 281 for 16 frames (paper, Table 6)."""
    loaded = load_model("ViT-B-16", "none")
    assert image_flops(loaded) / 2e9 == pytest.approx(17.563, abs=0.002)
    assert round(16 * image_flops(loaded) / 2e9) == 281


def with_system(model: str, system: dict) -> OpenClipModel:
    """A model of random weights with what a system adds."""
    clip, config = load_model(model, "none").clip, model_config(model)
    attach_added(clip, system)
    header = {
        "model": model,
        "config": config,
        "name": "n",
        "step": 0,
        "parent": "",
        "settings": {},
    }
    return describe(clip, CheckpointHeader(**header, system=system))


@pytest.mark.parametrize(
    ("system", "frames", "gflops", "params"),
    [
        ({"name": "actionclip", "head": "transf", "layers": 6, "positions": 77}, 32, 563, 168.5),
        ({"name": "x-clip", "mit_layers": 1, "prompt_layers": 2, "heads": 0}, 16, 287, 131.5),
    ],
)
def test_systems_cost_what_is_published(system, frames, gflops, params):
    """Within 1% of the paper's Table 6, whose X-CLIP is of 400 classes; nothing of that size is
    computed here."""
    loaded = with_system("ViT-B-16", {**system, "frames": frames})
    added = added_counts(loaded, frames, 400)
    record = cost_counts(image_counts(loaded, frames), text_counts(loaded), added)
    assert record["gflops"] == pytest.approx(gflops, rel=0.01)
    assert record["params_millions"] == pytest.approx(params, rel=0.01)
    assert 0 < added["gmacs"] < 0.03 * gflops
    assert round(record["gflops"]) == gflops


def test_counting_leaves_weights_that_two_modules_share():
    system = {"name": "actionclip", "head": "transf", "layers": 1, "positions": 77, "frames": 4}
    loaded = with_system("vifi-tiny", system)
    added_counts(loaded, 4, 10)
    assert not any(weights.is_meta for weights in loaded.image_tower.parameters())


def test_a_row_for_each_tower():
    image, text = compute.run(TINY)
    assert (image["tower"], text["tower"]) == ("image", "text")
    loaded = load_model("vifi-tiny", "none")
    assert image["gmacs_per_frame"] == image_flops(loaded) / 2e9
    assert image["gmacs"] == 4 * image["gmacs_per_frame"]
    assert image["views_per_second"] == pytest.approx(image["frames_per_second"] / 4)
    count = sum(parameter.numel() for parameter in loaded.clip.parameters())
    assert (image["params_millions"] + text["params_millions"]) * 1e6 == pytest.approx(count)
    assert text["token_table_millions"] * 1e6 == loaded.clip.token_embedding.weight.numel()
    # By hand, of 16 tokens of 64: 2 blocks of 12 x 64 x 64 weights a token, attention over 16 x 16
    # pairs twice, and a projection of 64 x 64 at the end token.
    expected = 2 * (16 * 12 * 64 * 64 + 2 * 16 * 16 * 64) + 64 * 64
    assert text["gmacs"] * 1e9 == pytest.approx(expected)


def test_a_head_is_added_and_must_fit(head_file):
    *_, row = compute.run(replace(TINY, head=head_file))
    # 4 frames through 12 x 64 x 64 weights, and attention over 4 x 4 pairs twice.
    assert row["gmacs"] * 1e9 == pytest.approx(4 * 12 * 64 * 64 + 2 * 4 * 4 * 64)
    assert row["kind"] == "a5"
    with pytest.raises(UsageError, match="give --frames 4"):
        list(compute.run(replace(TINY, head=head_file, frames=2)))


def test_costs_of_one_name_replace_each_other_and_others_stay(tmp_path, head_file):
    wanted = replace(TINY, results=tmp_path, features="vifi-clip")
    list(compute.run(wanted))
    list(compute.run(replace(wanted, features="x+a5", head=head_file)))
    list(compute.run(wanted))
    plain, with_head = Cost.read_all(tmp_path)
    assert (with_head.features, plain.features) == ("x+a5", "vifi-clip")
    assert plain.frames == 4
    assert with_head.gflops > plain.gflops > 0
    assert with_head.params_millions > plain.params_millions
    assert plain.throughput > 0
    assert plain.device
    assert json.loads((tmp_path / "artefacts" / "costs.json").read_text())[0] == plain.as_dict()
