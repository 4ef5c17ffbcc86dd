"""Words in captions, labels and ids: which videos hold those of a query, by BM25.

The text of a video is its captions, its label and its id, in words: neither case, underscores,
CamelCase nor signs between words count. Of a query with words w a video v of |v| words scores

    sum_w idf(w) f / (f + k1 (1 - b + b |v| / mean |v|)),   k1 = 1.2, b = 0.75

where w is f times in v, in n of N videos, and idf(w) = ln(1 + (N - n + 1/2) / (n + 1/2)): Robertson
and Zaragoza 2009, The Probabilistic Relevance Framework, with the idf of Lucene, which is never
below 0 (Kamphuis et al. 2020, Which BM25 Do You Mean?). N, n and the mean are of all datasets that
are searched, filters aside.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from vifistore.cleaning import in_words

_K1, _B = 1.2, 0.75
_WORD = re.compile(r"\w+")
# An array of words takes as much for each as for the longest.
_LONGEST = 40


def words_of(text: str) -> list[str]:
    """The words of a text, in its order, as they are compared."""
    return [word[:_LONGEST] for word in _WORD.findall(in_words(text).casefold())]


@dataclass(frozen=True, kw_only=True)
class WordIndex:
    """How often which video of a dataset holds which word."""

    words: np.ndarray
    """str [word], in order, each once."""
    starts: np.ndarray
    """int64 [word + 1]: the entries of word w are those from `starts[w]` to `starts[w + 1]`."""
    rows: np.ndarray
    """int32 [entry]: the video of each."""
    counts: np.ndarray
    """int32 [entry]: how often it holds the word."""
    lengths: np.ndarray
    """int32 [video]: words of each."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> "WordIndex":
        """Of the texts of all videos, in their order."""
        numbers: dict[str, int] = {}
        lengths, words, rows = [], [], []
        for row, text in enumerate(texts):
            found = words_of(text)
            lengths.append(len(found))
            words += [numbers.setdefault(word, len(numbers)) for word in found]
            rows += [row] * len(found)
        known = np.array(list(numbers), str)
        order, num_videos = np.argsort(known), max(len(lengths), 1)
        places = np.empty(len(known), np.int64)
        places[order] = np.arange(len(known))
        pairs = places[np.array(words, np.int64)] * num_videos + np.array(rows, np.int64)
        entries, counts = np.unique(pairs, return_counts=True)
        owners, videos = np.divmod(entries, num_videos)
        return cls(
            words=known[order],
            starts=np.searchsorted(owners, np.arange(len(known) + 1)),
            rows=videos.astype(np.int32),
            counts=counts.astype(np.int32),
            lengths=np.array(lengths, np.int32),
        )

    def entries(self, word: str) -> tuple[np.ndarray, np.ndarray]:
        """Videos that hold a word, and how often each does, int32 [entry] both."""
        number = int(np.searchsorted(self.words, word))
        if number == len(self.words) or self.words[number] != word:
            return self.rows[:0], self.counts[:0]
        here = slice(self.starts[number], self.starts[number + 1])
        return self.rows[here], self.counts[here]


def bm25(indexes: Sequence[WordIndex], query: str) -> list[np.ndarray]:
    """Scores of all videos of each index for a query, float64 [video] each; 0 of a video that holds
    none of its words."""
    scores = [np.zeros(len(index.lengths)) for index in indexes]
    num_videos = sum(map(len, scores))
    mean = sum(int(index.lengths.sum(dtype=np.int64)) for index in indexes) / max(num_videos, 1)
    for word in words_of(query):
        entries = [index.entries(word) for index in indexes]
        having = sum(len(rows) for rows, _ in entries)
        idf = np.log1p((num_videos - having + 0.5) / (having + 0.5))
        for index, (rows, counts), of_index in zip(indexes, entries, scores, strict=True):
            saturation = _K1 * (1 - _B + _B * index.lengths[rows] / mean)
            of_index[rows] += idf * counts / (counts + saturation)
    return scores
