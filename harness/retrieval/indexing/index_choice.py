"""Which index a search goes through where none is asked for: by size, and by the memory there is.

Looking at every vector is exact, and of up to half a gibibyte, which two cores go through in some
tenth of a second, nothing else is worth its misses. Beyond that, or where it would fill a quarter
of the memory, an approximate index is taken if vifi index made one: HNSW, which is the fastest,
while its vectors fit in the memory, else IVF, which reads a few of its lists.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.retrieval.indexing.indexes import Kind, index_folder
from vifistore.errors import shell
from vifistore.store.features import Features

_EXACT_BYTES = 2**29
# HNSW: links of a vector and the vectors themselves, beside what else is in memory.
_ROOM = 1.5


class IndexChoice(NamedTuple):
    """A kind of index, and why."""

    kind: Kind
    reason: str
    """For the reader; empty where every vector is looked at and that takes no time."""


def choose_index(
    cache_folder: Path, sources: Sequence[Features], memory_bytes: int = 0
) -> IndexChoice:
    """The kind of index for these feature sets; `memory_bytes` is this machine's by default."""
    memory = memory_bytes or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    num_videos = sum(source.num_videos for source in sources)
    num_bytes = sum(_vector_bytes(source) for source in sources)
    if num_bytes <= min(_EXACT_BYTES, memory // 4):
        return IndexChoice("flat", "")
    kinds: tuple[Kind, ...] = ("hnsw", "ivf") if num_bytes * _ROOM < memory else ("ivf", "hnsw")
    size = f"{num_videos:,} vectors of {num_bytes / 1e9:.1f} GB"
    for kind in kinds:
        if all(_is_made(cache_folder, source, kind) for source in sources):
            told = f"{size} are searched by their {kind} index; --index flat looks at every one"
            return IndexChoice(kind, told)
    make = shell("vifi", "index", "S", "--features", sources[0].name, "--kind", kinds[0])
    return IndexChoice("flat", f"each of {size} is looked at; what is faster is made by: {make}")


def _vector_bytes(features: Features) -> int:
    return features.num_videos * features.view_mean.shape[-1] * np.dtype(np.float32).itemsize


def _is_made(cache_folder: Path, features: Features, kind: Kind) -> bool:
    return features.sealed is not None and index_folder(cache_folder, features, kind).is_dir()
