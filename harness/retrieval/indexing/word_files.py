"""The word index of a dataset, kept in the cache for as long as its captions and videos stay.

    index = open_words(store.cache_folder, dataset)

It lies at `indexes/<dataset>/words-<digest>` in the cache: the digest is one of the digests of the
tables that it was made of. The file holds its own digest, and its arrays behind it.
"""

import hashlib
import io
import logging
from pathlib import Path

import numpy as np

from harness.retrieval.indexing.word_index import WordIndex
from vifistore.errors import DamagedError, first_line
from vifistore.files import read_regular
from vifistore.store.dataset import Dataset
from vifistore.store.recipe import digest_of
from vifistore.store.zarr_format.column_digests import FIELD
from vifistore.temporaries import atomic_path, clear_temporaries, is_temporary

logger = logging.getLogger("vifi")

_DIGEST_BYTES = hashlib.sha256().digest_size
_KINDS = {"words": "U", "starts": "i", "rows": "i", "counts": "i", "lengths": "i"}


def open_words(cache_folder: Path, dataset: Dataset) -> WordIndex:
    """The word index of a dataset: the one of the cache, or one that is made now and kept."""
    folder = cache_folder / "indexes" / dataset.name
    path = folder / f"words-{_state(dataset)}"
    if path.is_file():
        try:
            return _read(path)
        except DamagedError as error:
            logger.warning("the words in %s cannot be used (%s): made again", path, error)
    index = WordIndex.of(texts_of(dataset))
    try:
        _write(path, index)
    except OSError as error:
        logger.warning("the words of %s are not kept: %s", dataset.name, error)
    return index


def texts_of(dataset: Dataset) -> list[str]:
    """Of each video its captions, its label and its id, as one text."""
    columns = dataset.columns_at_once("id", "label")
    texts = [f"{label} {name}" for name, label in zip(*columns.values(), strict=True)]
    captions = dataset.captions()
    for row, text in zip(captions["row"].tolist(), captions["text"].tolist(), strict=True):
        if 0 <= row < len(texts):
            texts[row] += f" {text}"
    return texts


def _state(dataset: Dataset) -> str:
    """What changes whenever a caption, a label or an id does."""
    backend = dataset.backend
    tables = [path for path in (dataset.path, f"captions/{dataset.name}") if backend.exists(path)]
    kept = [backend.attributes(path).get(FIELD) for path in tables]
    # Stores that were written before keep no digests.
    told = kept if all(kept) else texts_of(dataset)
    return digest_of([dataset.num_videos, told])[:16]


def _write(path: Path, index: WordIndex) -> None:
    """Keep an index, whole or not at all; those of earlier captions go. Raises OSError."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(index, name) for name in _KINDS})
    content = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_temporaries(path.parent)
    with atomic_path(path) as temporary:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
    for old in path.parent.glob("words-*"):
        if old != path and not is_temporary(old.name):
            old.unlink(missing_ok=True)


def _read(path: Path) -> WordIndex:
    """Raises DamagedError for a file that is not what was written."""
    try:
        content = read_regular(path)
        digest, arrays = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(arrays).digest() != digest:
            raise ValueError("it does not match its digest")
        with np.load(io.BytesIO(arrays), allow_pickle=False) as found:
            index = WordIndex(**{name: found[name] for name in _KINDS})
        _check(index)
        return index
    except (OSError, ValueError, LookupError, TypeError, MemoryError) as error:
        raise DamagedError(first_line(error)) from error


def _check(index: WordIndex) -> None:
    """Raise ValueError for arrays that are no index."""
    for name, kind in _KINDS.items():
        array = getattr(index, name)
        if array.dtype.kind != kind or array.ndim != 1:
            raise ValueError(f"{name} is {array.dtype} of {array.ndim} axes")
    starts = index.starts
    is_cut = len(starts) == len(index.words) + 1 and starts[0] == 0 and (np.diff(starts) > 0).all()
    has_entries = starts[-1] == len(index.rows) == len(index.counts)
    in_range = ((index.rows >= 0) & (index.rows < len(index.lengths))).all()
    if not (is_cut and has_entries and in_range):
        raise ValueError("its entries do not go with its words")
