"""Cached features as a model of mteb (MVEB): its video tasks are scored without decoding a frame.

    model = CachedModel(open_store("S.zarr"), "vanilla")
    mteb.evaluate(model, task, cache=mteb.ResultCache("results"))   # its own JSON, per task

A video of a task is the row of the store whose file has the same bytes, by their SHA-256. Its
vector is that which is searched and drawn (`harness/vector_reading.py`), a text's that of the
checkpoint's text tower. What the store lacks is written as files by `write_videos`, for `vifi scan`
and `vifi extract`. mteb, and torch with it, is imported once it is needed.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from harness.content_rows import ContentRows
from harness.results.whole_files import made_folder, write_bytes
from harness.retrieval.searched_sets import choose_sources
from harness.scoring import checkpoint_of, known_checkpoint
from vifi.searching.query_encoders import TextEncoder
from vifi.searching.query_words import query_encoder
from vifistore.errors import UsageError, shell, short
from vifistore.files import open_regular, read_regular
from vifistore.models.wording import BARE_TEMPLATE
from vifistore.store.features import Features
from vifistore.store.problems import model_flags
from vifistore.store.recipe import digest_of
from vifistore.store.store import Store

_VIDEO, _TEXT = "video", "text"
# What mteb hands over beside ids and words.
_MODALITIES = (_VIDEO, _TEXT, "image", "audio")


class CachedModel:
    """One feature set, of every dataset that has it, as mteb's `EncoderProtocol`."""

    def __init__(
        self, store: Store, features: str = "", *, templates: Sequence[str] = (BARE_TEMPLATE,)
    ) -> None:
        """`features` is a name or an id, by default the store's only one; texts are put into
        `templates`, since tasks bring prompts of their own as they are. Raises what
        `choose_sources` does, and UsageError where mteb is not installed."""
        self._store, self._templates = store, tuple(templates)
        self._sources = choose_sources(store, features)
        self._rows = ContentRows(self._sources)
        self.mteb_model_meta = _meta(self._sources[0], self._templates)

    def __repr__(self) -> str:
        """What it serves, of how many videos."""
        return f"<CachedModel of {self._sources[0].name}: {len(self._rows)} videos>"

    def encode(
        self,
        inputs: Any,
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **_: object,
    ) -> np.ndarray:
        """Embeddings of the videos or texts of a task, float32 [item dim].

        `inputs` is a DataLoader over a `datasets.Dataset`, `task_metadata` mteb's.
        Raises UsageError for videos that the store lacks, of which it tells how many, and for
        items of another kind or of several kinds at once.
        """
        dataset = inputs.dataset
        kinds = [kind for kind in _MODALITIES if kind in dataset.column_names]
        if kinds == [_VIDEO]:
            return self._of_videos(dataset, task_metadata.name)
        if kinds == [_TEXT]:
            return np.asarray(self._text_encoder(list(dataset[_TEXT])), np.float32)
        raise UsageError(
            f"task {task_metadata.name} asks for one embedding of {' with '.join(kinds)}, and "
            f"feature set {self._sources[0].name} has those of videos and of texts; choose a task "
            "of these alone"
        )

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines, a tensor [item other], of embeddings [item dim] and [other dim]."""
        return _library("mteb.similarity_functions").cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Cosines, a tensor [item], of embeddings [item dim] with those of the same place."""
        return _library("mteb.similarity_functions").pairwise_cos_sim(embeddings1, embeddings2)

    @cached_property
    def _text_encoder(self) -> TextEncoder:
        """Raises UsageError for a set without a text tower, ModelError if its weights are gone."""
        return query_encoder(self._store, checkpoint_of(self._sources[0]), self._templates)

    def _of_videos(self, dataset: Any, task: str) -> np.ndarray:
        digests = [_digest(item) for item in _undecoded(dataset, _VIDEO)]
        if missing := sum(map(self._rows.lacks, digests)):
            raise UsageError(self._lacking(missing, len(digests), task))
        return self._rows.vectors(digests)

    def _lacking(self, missing: int, count: int, task: str) -> str:
        features = self._sources[0]
        words = ["vifi", "extract", features.store.path, "--dataset", task, "--name", features.name]
        checkpoint = known_checkpoint(features)
        if checkpoint is not None:
            words += model_flags(checkpoint)
        if "frames" in features.recipe:
            words += ["--frames", features.recipe["frames"]]
        rates = {name: features.recipe.get(name) for name in ("fps", "every")}
        words += [word for name, rate in rates.items() if rate for word in (f"--{name}", rate)]
        scan = shell("vifi", "scan", features.store.path, "FOLDER", "--dataset", task)
        return (
            f"feature set {features.name} lacks {missing} of the {count} videos of {task}; write "
            f"them with write_videos(task, FOLDER), then: {scan}; {shell(*words)}"
        )


def write_videos(task: Any, folder: str | Path) -> int:
    """Write the videos of a task of mteb as files called by their SHA-256, each once, and return
    how many there are; those that are there stay. Raises UsageError for a task without videos."""
    if task.dataset is None:
        task.load_data()
    folder, written = made_folder(folder), set()
    for dataset, column in _video_columns(task.dataset):
        for item in _undecoded(dataset, column):
            digest = _digest(item)
            # Decoders go by what is in a file, scan by its ending.
            path = folder / f"{digest}.mp4"
            if digest not in written and not path.exists():
                write_bytes(path, _bytes(item))
            written.add(digest)
    if not written:
        raise UsageError(f"task {task.metadata.name} has no videos; choose one that has")
    return len(written)


def _video_columns(found: object) -> Iterator[tuple[Any, str]]:
    """Every column of videos in the datasets of a task, however its subsets and splits nest."""
    datasets: Any = _library("datasets")
    if isinstance(found, datasets.Dataset):
        dataset: Any = found
        for name, feature in dataset.features.items():
            if isinstance(feature, datasets.Video):
                yield dataset, name
    elif isinstance(found, Mapping):
        for inner in found.values():
            yield from _video_columns(inner)


def _undecoded(dataset: Any, column: str) -> Iterator[dict]:
    """Bytes or path of each item of a column of videos. Raises UsageError for another column."""
    video = _library("datasets").Video
    if not isinstance(dataset.features[column], video):
        raise UsageError(
            f"column {column} holds {short(dataset.features[column])}, not videos; cast it to "
            "datasets.Video, so that their bytes can be read"
        )
    for row in dataset.select_columns([column]).cast_column(column, video(decode=False)):
        yield row[column]


def _digest(item: Mapping) -> str:
    """SHA-256 of a video's bytes, in hex. Raises UsageError for a file that cannot be read."""
    if item["bytes"] is not None:
        return hashlib.sha256(item["bytes"]).hexdigest()
    try:
        with open_regular(item["path"]) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"the video {short(item['path'], 120)} of a task cannot be read ({error.strerror}); "
            "load the task's data again"
        ) from error


def _bytes(item: Mapping) -> bytes:
    return item["bytes"] if item["bytes"] is not None else read_regular(item["path"])


def _meta(features: Features, templates: Sequence[str]) -> Any:
    """What mteb keeps of a model beside its results.

    Results that its cache holds of a revision are not made again: one says all that decides them.
    """
    # mteb takes torchvision through transformers, and torch is slow to import.
    from vifistore.models import torchvision_operators

    torchvision_operators.prepare()
    known = _library("mteb.models.model_meta")
    return known.ModelMeta.create_empty(
        {
            "name": f"vifistore/{features.name}",
            "revision": f"{features.id}-{digest_of([features.checkpoint, *templates])[:12]}",
            "embed_dim": features.view_mean.shape[-1],
            "similarity_fn_name": known.ScoringFunction.COSINE,
            "modalities": [_VIDEO, _TEXT],
        }
    )


def _library(name: str) -> Any:
    """A module of mteb or of what it brings. Raises UsageError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        told = "mteb is not installed; install it with: pip install 'vifistore[mteb]'"
        raise UsageError(told) from error
