"""CLIP's byte-pair tokenizer without torch, for queries: importing OpenCLIP takes seconds.

Same numbers as OpenCLIP's `SimpleTokenizer`, from the list of merges that OpenCLIP ships. Words
are lower-cased, cut into letters, single digits and runs of other signs, and their UTF-8 bytes
merged pair by pair, the earliest pair of the list first (Radford et al. 2021, section 2.4).
"""

import functools
import gzip
import html
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from vifistore.errors import ModelError

_START, _END = "<start_of_text>", "<end_of_text>"
# Tokens: 256 bytes, the same at the end of a word, the merges, start and end of a text.
_NUM_MERGES = 49152 - 256 - 2
_PATTERN = rf"{_START}|{_END}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+"
_END_OF_WORD = "</w>"


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Tokens, and the order in which pairs are merged."""

    numbers: dict[str, int]
    """Token -> its number."""
    ranks: dict[tuple[str, str], int]
    """Pair -> its place in the list of merges."""
    letters: tuple[str, ...]
    """The character that stands for each byte."""


def tokenize(texts: Sequence[str], context_length: int) -> list[list[int]]:
    """Token numbers of each text, from the start to the end token, cut to `context_length`.

    Raises ModelError if OpenCLIP's list of merges is not installed.
    """
    numbers = vocabulary().numbers
    start, end = numbers[_START], numbers[_END]
    return [[start, *_encode(text)[: context_length - 2], end] for text in texts]


@functools.cache
def vocabulary() -> Vocabulary:
    """The vocabulary that OpenCLIP ships. Raises ModelError if it is not installed."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("open_clip is not installed; install it with: pip install open_clip_torch")
    path = Path(spec.submodule_search_locations[0]) / "bpe_simple_vocab_16e6.txt.gz"
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    pairs = map(str.split, lines[1 : _NUM_MERGES + 1])
    merges = [(first, second) for first, second in pairs]
    letters = _letters()
    # The bytes in the order of their characters' code points, but for those made up at the end.
    ordered = sorted(letters)
    tokens = [*ordered, *(letter + _END_OF_WORD for letter in ordered), *map("".join, merges)]
    tokens += [_START, _END]
    return Vocabulary(
        numbers={token: number for number, token in enumerate(tokens)},
        ranks={pair: rank for rank, pair in enumerate(merges)},
        letters=letters,
    )


def _letters() -> tuple[str, ...]:
    """A visible character for each byte: its own where it has one, else one from 256 on."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)}
    visible |= {*range(ord("®"), ord("ÿ") + 1)}
    made_up = iter(range(256, 512))
    return tuple(chr(byte if byte in visible else next(made_up)) for byte in range(256))


def _encode(text: str) -> list[int]:
    import ftfy
    import regex

    vocab = vocabulary()
    cleaned = html.unescape(html.unescape(ftfy.fix_text(text)))
    words = regex.findall(_PATTERN, " ".join(cleaned.split()).lower(), flags=regex.IGNORECASE)
    spelled = ("".join(vocab.letters[byte] for byte in word.encode("utf-8")) for word in words)
    return [vocab.numbers[token] for word in spelled for token in _merge(word)]


@functools.lru_cache(maxsize=4096)
def _merge(word: str) -> tuple[str, ...]:
    """The tokens of one word, spelled in the vocabulary's letters."""
    if word in (_START, _END):
        return (word,)
    ranks = vocabulary().ranks
    parts = [*word[:-1], word[-1] + _END_OF_WORD]
    while len(parts) > 1:
        best = min(pairwise(parts), key=lambda pair: ranks.get(pair, 10**9))
        if best not in ranks:
            break
        parts = _joined(parts, best)
    return tuple(parts)


def _joined(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """`parts` with every occurrence of a pair made one, from the left."""
    joined: list[str] = []
    position = 0
    while position < len(parts):
        if tuple(parts[position : position + 2]) == pair:
            joined.append("".join(pair))
            position += 2
        else:
            joined.append(parts[position])
            position += 1
    return joined
