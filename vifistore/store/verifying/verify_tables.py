"""Verify what is no feature set: videos, splits, captions, texts, checkpoints and names."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np

from vifistore.errors import DamagedError, VifiError, shell
from vifistore.store.checkpoints import digest_of_record, read_checkpoint, read_identity
from vifistore.store.dataset import video_columns
from vifistore.store.key_value.durable import parallel
from vifistore.store.names import can_be_id
from vifistore.store.problems import MALFORMED, Problem, removal
from vifistore.store.recipe import pooled_digest
from vifistore.store.schema import CAPTION_COLUMNS, SPLIT_COLUMNS, ArraySpec
from vifistore.store.splits import require_listed
from vifistore.store.stretch_times import wrong_stretches
from vifistore.store.tables import table_attributes
from vifistore.store.texts import TEXT_FIELDS, TEXT_SPECS, texts_id
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import num_blocks
from vifistore.store.zarr_format.chunks import lacks_chunk, open_checked
from vifistore.store.zarr_format.column_digests import wrong_digests
from vifistore.store.zarr_format.layout import Layout


class TableVerifier:
    """Checks of everything that is read whole."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._num_videos: dict[str, int] = {}

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the tables, texts, checkpoints and names of a store."""
        checks: dict[str, Callable[[str], Iterator[Problem]]] = {
            "videos": self._videos,
            "captions": self._captions,
            "checkpoints": self._checkpoint,
            "texts": self._texts,
        }
        for folder, check in checks.items():
            for name in self._backend.children(folder):
                yield from self._guarded(check, f"{folder}/{name}")
        for folder, check in {"splits": self._split, "names": self._name}.items():
            for dataset in self._backend.children(folder):
                for name in self._backend.children(f"{folder}/{dataset}"):
                    yield from self._guarded(check, f"{folder}/{dataset}/{name}")

    def _guarded(self, check: Callable[[str], Iterator[Problem]], path: str) -> Iterator[Problem]:
        try:
            yield from check(path)
        except (VifiError, *MALFORMED) as error:
            yield self._problem(path, f"cannot be read: {error}")

    def _problem(self, path: str, what: str, remedy: str = "") -> Problem:
        folder, first = self._backend.folder, removal(self._backend, path)
        kind, name = path.split("/")[:2]
        words = ("vifi", "scan", folder, "SOURCE", "--dataset", name, "--append")
        rescan = f"{first}, then: {shell(*words)}"
        words = ("vifi", "texts", folder, "--dataset", "D", "--model", "M", "--pretrained", "FILE")
        again = {
            "videos": "scan the dataset again into a new store, or restore it from a copy",
            "splits": rescan,
            "captions": rescan,
            "texts": f"{first}, then: {shell(*words)}",
            "checkpoints": f"{first}, then run vifi extract again",
            "names": f"{first}, then run vifi name",
        }
        return Problem(where=path, what=what, remedy=remedy or again[kind])

    def _read(self, path: str, specs: dict[str, ArraySpec]) -> dict[str, np.ndarray]:
        """Columns of a table. Raises DamagedError if a chunk is gone or torn."""
        num_rows = table_attributes(self._backend, path, specs)["rows"]
        for name in specs if num_rows else ():
            self._require_chunks(f"{path}/{name}", num_rows)
        columns = {}
        for name in specs:
            columns[name] = self._backend.read(f"{path}/{name}", 0, num_rows, may_lack=False)
        return columns

    def _require_chunks(self, path: str, num_rows: int | None = None) -> None:
        grid = open_checked(self._backend, path)
        count = grid.shape[0] if num_rows is None else num_rows
        if grid.shape[0] < count:
            raise DamagedError(f"{path} has {grid.shape[0]} rows, not {count}")
        # Of one that another program laid out none is missed.
        chunks = range(num_blocks(count, grid.size)) if isinstance(grid, Layout) else range(0)
        lacks = partial(lacks_chunk, self._backend, path, grid)
        lacking = parallel(lacks, chunks, self._backend.place.threads(0))
        for chunk in itertools.compress(chunks, lacking):
            name = grid.key(path, chunk).rpartition("/")[2]
            raise DamagedError(f"chunk {name} of {path} is gone")

    def _digests(
        self, path: str, columns: dict[str, np.ndarray], specs: dict[str, ArraySpec]
    ) -> Iterator[Problem]:
        attributes = self._backend.attributes(path)
        for name in sorted(wrong_digests(columns, specs, attributes)):
            what = f"the {name} are not those that were written: their digest is another"
            yield self._problem(f"{path}/{name}", what)

    def _videos(self, path: str) -> Iterator[Problem]:
        attributes = self._backend.attributes(path)
        specs = video_columns(attributes)
        columns = self._read(path, specs)
        self._num_videos[path.split("/")[1]] = attributes["rows"]
        yield from self._digests(path, columns, specs)
        if "start_seconds" in columns:
            yield from self._stretches(path, columns["start_seconds"], columns["end_seconds"])
        for name in ("id", "path"):
            if (columns[name] == "").any():
                yield self._problem(f"{path}/{name}", f"a video has an empty {name}")
        if len(set(columns["id"])) != len(columns["id"]):
            yield self._problem(f"{path}/id", "two videos have the same id")
        unknown = sorted(set(columns["label"]) - {"", *attributes["class_names"]})
        if unknown:
            yield self._problem(f"{path}/label", f"label {unknown[0]!r} is no class of the dataset")
        if not isinstance(attributes["root"], str):
            yield self._problem(path, "the root folder is not recorded")

    def _stretches(self, path: str, starts: np.ndarray, ends: np.ndarray) -> Iterator[Problem]:
        wrong = np.flatnonzero(wrong_stretches(starts, ends))
        if len(wrong):
            row = wrong[0]
            what = f"row {row} is from {starts[row]} to {ends[row]} seconds, which is no stretch"
            yield self._problem(path, what)

    def _split(self, path: str) -> Iterator[Problem]:
        columns = self._read(path, SPLIT_COLUMNS)
        yield from self._digests(path, columns, SPLIT_COLUMNS)
        num_rows, written = len(columns["rows"]), self._backend.layout(f"{path}/rows").shape[0]
        # A split is written once; the array of an empty one has a row, too.
        if num_rows < written and (num_rows, written) != (0, 1):
            yield self._problem(path, f"it says {num_rows} rows of {written}")
        attributes = self._backend.attributes(path)
        num_videos = self._num_videos.get(path.split("/")[1], 0)
        yield from self._in_range(f"{path}/rows", columns["rows"], num_videos, "videos")
        classes = len(attributes["class_names"])
        # -1 stands for "no label": such a split is searched, not scored.
        labels = columns["labels"][columns["labels"] != -1]
        yield from self._in_range(f"{path}/labels", labels, classes, "classes")
        listed = attributes.get("listed", {})
        require_listed(self._backend, path, listed, labels, attributes["class_names"])

    def _captions(self, path: str) -> Iterator[Problem]:
        columns = self._read(path, CAPTION_COLUMNS)
        yield from self._digests(path, columns, CAPTION_COLUMNS)
        num_videos = self._num_videos.get(path.split("/")[1], 0)
        yield from self._in_range(f"{path}/row", columns["row"], num_videos, "videos")

    def _in_range(self, path: str, values: np.ndarray, count: int, what: str) -> Iterator[Problem]:
        outside = (values < 0) | (values >= count)
        if outside.any():
            bad = int(values[outside][0])
            yield self._problem(path, f"{bad} is none of the {count} {what} of the dataset")

    def _texts(self, path: str) -> Iterator[Problem]:
        attributes = self._backend.attributes(path)
        if missing := [field for field in TEXT_FIELDS if field not in attributes]:
            remedy = shell("vifi", "gc", self._backend.folder, "--delete")
            yield self._problem(path, f"orphan: it does not say its {missing[0]}", remedy)
            return
        if (digest := texts_id(attributes)) != path.split("/")[1]:
            yield self._problem(path, f"the digest of its attributes is {digest}")
        self._require_chunks(f"{path}/embeddings")
        embeddings = self._backend.read(f"{path}/embeddings", may_lack=False)
        yield from self._digests(path, {"embeddings": embeddings}, TEXT_SPECS)
        expected = (len(attributes["class_names"]), len(attributes["templates"]))
        if embeddings.shape[:2] != expected or embeddings.ndim != 3:
            words = f"its shape is {embeddings.shape}, not {expected} and a dimension"
            yield self._problem(f"{path}/embeddings", words)
        if not np.isfinite(embeddings).all():
            yield self._problem(f"{path}/embeddings", "an embedding is not finite")

    def _checkpoint(self, path: str) -> Iterator[Problem]:
        found = read_checkpoint(self._backend, path.split("/")[1])
        digest = digest_of_record(found)
        if digest != path.split("/")[1]:
            yield self._problem(path, f"the digest of its towers is {digest}")
        read_identity(self._backend, path.split("/")[1])

    def _name(self, path: str) -> Iterator[Problem]:
        _, dataset, name = path.split("/")
        found = self._backend.attributes(path)
        words = ("vifi", "name", self._backend.folder, dataset, "ID", name, "--force")
        remedy = f"{shell(*words)}, or {removal(self._backend, path)}"
        target = f"features/{dataset}/{found['id']}"
        if not can_be_id(found["id"]) or not self._backend.exists(target):
            yield self._problem(path, f"it stands for {target}, which is not there", remedy)
            return
        if not found["checkpoint"]:
            # Embeddings that were made elsewhere: no checkpoint of this store scores them.
            return
        checkpoint = f"checkpoints/{found['checkpoint']}"
        if not self._backend.exists(checkpoint):
            yield self._problem(path, f"it names {checkpoint}, which is not there", remedy)
            return
        towers = _image_digests(self._backend.attributes(target))
        if towers and self._backend.attributes(checkpoint)["image_digest"] not in towers:
            yield self._problem(path, f"{checkpoint} has another image tower", remedy)


def _image_digests(attributes: Mapping) -> list[str]:
    """Image digests that the checkpoint of a feature set of these attributes can have; none if they
    say nothing of it. A derived set's is that of its parent, or of tower and head together."""
    recipe = attributes.get("parent_recipe") or attributes.get("recipe") or {}
    tower, head = recipe.get("image_digest"), attributes.get("recipe", {}).get("head")
    return [tower, *([pooled_digest(tower, head)] if head else [])] if tower else []
