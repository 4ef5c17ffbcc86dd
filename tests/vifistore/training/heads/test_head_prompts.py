"""Text prompts are laid out as A5 lays them out, and go through the tower as any text does."""

import pytest
import torch

from vifistore.errors import ModelError, UsageError
from vifistore.training.heads.a5_prompts import (
    NamePrompts,
    check_room,
    check_text_tower,
    largest_num_prompts,
    tokenise_names,
)

NAMES = ["run", "ride a red bicycle", "x"]


def restated(tiny, vectors, names, num_each_side):
    """One class at a time: the whole context, as A5's code fills it."""
    clip, features = tiny.clip, []
    for tokens in tokenise_names(tiny, names):
        end = int(tokens.argmax())
        embedded = vectors.clone()
        table = clip.token_embedding.weight
        embedded[0] = table[tokens[0]]
        embedded[num_each_side + 1 : num_each_side + end] = table[tokens[1:end]]
        last = num_each_side + end + num_each_side
        embedded[last] = table[tokens[end]]
        hidden = (embedded + clip.positional_embedding)[None]
        hidden = clip.transformer(hidden, attn_mask=clip.attn_mask)
        features.append(clip.ln_final(hidden)[0, last] @ clip.text_projection)
    return torch.stack(features)


@pytest.fixture
def prompts(tiny):
    """Builds prompts of so many vectors on each side, larger than they start."""

    def make(num_each_side: int) -> NamePrompts:
        torch.manual_seed(3)
        made = NamePrompts(num_each_side, 16, tiny.clip.token_embedding.embedding_dim)
        made.vectors.data *= 50
        return made

    return make


@pytest.mark.parametrize("num_each_side", [0, 1, 4])
def test_a_name_stands_between_learned_vectors(tiny, prompts, num_each_side):
    made = prompts(num_each_side)
    found = made(tiny.clip, tokenise_names(tiny, NAMES))
    expected = restated(tiny, made.vectors, NAMES, num_each_side)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_without_vectors_it_is_the_bare_name(tiny, prompts):
    found = prompts(0)(tiny.clip, tokenise_names(tiny, NAMES)).detach()
    torch.testing.assert_close(found.numpy(), tiny.text_side.encode(NAMES), atol=1e-5, rtol=1e-5)


def test_only_the_places_beside_the_name_learn(tiny, prompts):
    made = prompts(2)
    made(tiny.clip, tokenise_names(tiny, ["x"])).sum().backward()
    # start 0, vectors 1 2, name 3, vectors 4 5, end 6
    learnt = made.vectors.grad.abs().sum(1) > 0
    assert learnt.nonzero().flatten().tolist() == [1, 2, 4, 5]


def test_vectors_that_leave_no_room_are_refused_with_how_many_would_fit(tiny):
    names = tokenise_names(tiny, NAMES)
    largest = largest_num_prompts(names)
    assert largest == (16 - 2 - len(["ride", "a", "red", "bicycle"])) // 2
    check_room(names, largest)
    with pytest.raises(UsageError, match=f"--prompts {largest}"):
        check_room(names, largest + 1)


def test_other_text_towers_are_refused(tiny, monkeypatch):
    monkeypatch.setattr(tiny.clip, "text_pool_type", "last")
    with pytest.raises(ModelError, match="own text tower"):
        check_text_tower(tiny)
