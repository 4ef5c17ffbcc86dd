"""Texts without their padding: read where the model reads them, each for itself."""

import numpy as np
import pytest
import torch

from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.registry import model_config
from vifistore.models.skeletons import make_model
from vifistore.models.towers import load_model

TINY = "vifi-tiny"
# Start, words with numbers above that of the end, the end, padding.
TOKENS = torch.tensor([[0, 40, 7, 2, 1, 1, 1], [0, 9, 300, 8, 55, 2, 1]])


def reading(pool: str, **text: object) -> torch.nn.Module:
    config = model_config(TINY)
    text = {**config["text_cfg"], "pool_type": pool, "eos_id": 2, **text}
    return make_model(TINY, config, text_cfg=text).eval()


@pytest.mark.parametrize("pool", ["argmax", "eos", "first", "last"])
@pytest.mark.parametrize("no_causal_mask", [False, True])
def test_a_text_is_read_where_the_model_reads_it(pool, no_causal_mask):
    clip = reading(pool, no_causal_mask=no_causal_mask)
    tokens = torch.nn.functional.pad(TOKENS, (0, clip.context_length - 7), value=1)
    with torch.inference_mode():
        whole, cut = clip.encode_text(tokens), encode_cut_texts(clip, tokens)
    assert torch.allclose(cut, whole, atol=1e-5)


def test_a_text_without_the_end_is_read_as_the_model_does():
    clip = reading("eos")
    tokens = torch.full((1, clip.context_length), 5)
    with torch.inference_mode():
        assert torch.allclose(encode_cut_texts(clip, tokens), clip.encode_text(tokens), atol=1e-5)


def test_an_embedding_does_not_depend_on_the_other_texts():
    tiny = load_model(TINY, "none")
    texts = [f"{'very ' * (number % 5)}bright {number}" for number in range(20)]
    together = tiny.text_side.encode(texts)
    alone = np.concatenate([tiny.text_side.encode([text]) for text in texts])
    assert np.array_equal(together, alone)
