"""Our tokens are OpenCLIP's, whatever is typed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.models.clip_tokens import tokenize
from vifistore.models.registry import open_clip

TOKENIZER = open_clip.tokenizer.SimpleTokenizer()


def same(text: str, context_length: int) -> bool:
    (ours,) = tokenize([text], context_length)
    theirs = TOKENIZER([text], context_length=context_length)[0].tolist()
    return ours + [0] * (context_length - len(ours)) == theirs


@pytest.mark.parametrize(
    "text",
    [
        "someone juggling a ball",
        "",
        "  it's we'LL DON'T 1234 a_b-c!! ",
        "<end_of_text> x",
        "<START_OF_TEXT>",
        "&amp;lt; b",
        "ﬁne — “quotes” 'quoted'",
        "İstanbul ǅ 漢字 👍🏽",
        "tab\tnewline\nnull\x00escape\x1b[0m",
    ],
)
def test_hard_texts(text):
    assert same(text, 77)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40), st.integers(4, 20))
def test_any_text_cut_anywhere(text, context_length):
    assert same(text, context_length)


def test_tokens_are_cut_before_the_end_token():
    (tokens,) = tokenize(["a " * 50], 8)
    assert len(tokens) == 8
    assert tokens[-1] == tokenize([""], 8)[0][-1]
