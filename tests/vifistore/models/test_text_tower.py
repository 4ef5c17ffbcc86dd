"""The text tower in NumPy is OpenCLIP's, and whatever it cannot compute it leaves alone."""

import copy

import numpy as np
import pytest
import torch

from vifistore.errors import ModelError
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.registry import model_config, open_clip
from vifistore.models.text_tower import is_plain, read_text_tower
from vifistore.models.tower_digests import tower_digests

QUERIES = ["a circle", "a circle sliding sideways", "x " * 60, "", "one <end_of_text> two", "é 漢"]


def made(config: dict) -> torch.nn.Module:
    """A model with large random weights, so that an error would show."""
    torch.manual_seed(0)
    clip = open_clip.CLIP(**config).eval()
    with torch.no_grad():
        for weight in clip.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return clip


def tower_of(tmp_path, config, clip):
    path = tmp_path / "model.safetensors"
    header = CheckpointHeader(model="m", config=config, name="m", step=0, parent="", settings={})
    save_checkpoint(path, clip.state_dict(), header)
    return read_text_tower(path, config, tower_digests(config, clip.state_dict())[1])


@pytest.mark.parametrize("is_quick", [False, True])
def test_equal_to_openclip(tmp_path, is_quick):
    config = copy.deepcopy(model_config("vifi-tiny")) | {"quick_gelu": is_quick}
    config["text_cfg"] |= {"mlp_ratio": 2.0}
    clip = made(config)
    tokens = open_clip.tokenizer.SimpleTokenizer()(QUERIES, context_length=16)
    with torch.inference_mode():
        expected = clip.encode_text(tokens).numpy()
    found = tower_of(tmp_path, config, clip).encode(QUERIES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("change", "plain"),
    [
        ({}, True),
        ({"pool_type": "argmax", "embed_cls": False}, True),
        ({"pool_type": "last"}, False),
        ({"hf_model_name": "roberta"}, False),
        ({"no_causal_mask": True}, False),
        ({"ls_init_value": 1e-5}, False),
        ({"tokenizer_kwargs": {"clean": "canonicalize"}}, False),
    ],
)
def test_which_towers_are_plain(change, plain):
    config = copy.deepcopy(model_config("vifi-tiny"))
    config["text_cfg"] |= change
    assert is_plain(config) is plain
    assert not is_plain(config | {"custom_text": True})


def test_weights_that_changed_are_refused(tmp_path):
    config = model_config("vifi-tiny")
    clip = made(config)
    digest = tower_digests(config, clip.state_dict())[1]
    with torch.no_grad():
        clip.ln_final.bias.add_(1e-3)
    path = tmp_path / "model.safetensors"
    header = CheckpointHeader(model="m", config=config, name="m", step=0, parent="", settings={})
    save_checkpoint(path, clip.state_dict(), header)
    with pytest.raises(ModelError, match="put the right file back"):
        read_text_tower(path, config, digest)


def test_what_is_not_ours_is_left_to_openclip(tmp_path):
    config = model_config("vifi-tiny")
    clip = made(config)
    assert tower_of(tmp_path, config, clip) is not None
    # Learned prompts are further weights of the text tower.
    clip.prompts = torch.nn.Module()
    clip.prompts.vectors = torch.nn.Parameter(torch.zeros(1, 2, 64))
    assert tower_of(tmp_path, config, clip) is None
    assert tower_of(tmp_path, config, made(config).bfloat16()) is None
    assert read_text_tower(tmp_path / "gone.safetensors", config, "") is None
    assert read_text_tower(tmp_path / "model.pt", config, "") is None


def test_a_torn_file_is_one_line(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"no tensors here")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        read_text_tower(path, model_config("vifi-tiny"), "")
