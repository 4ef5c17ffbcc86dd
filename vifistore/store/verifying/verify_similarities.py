"""Verify the cosines that are kept beside a feature set, a block at a time."""

from collections.abc import Iterator

import numpy as np

from vifistore.errors import DamagedError, VifiError, shell
from vifistore.store.claims.status_chunks import read_status_leniently
from vifistore.store.problems import MALFORMED, Problem, removal
from vifistore.store.schema import DONE
from vifistore.store.similarities import Similarities, similarity_ids, similarity_path
from vifistore.store.texts import has_texts
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks

# A cosine of float32 vectors is beyond one by a few roundings.
_MOST = 1 + 1e-5


class SimilarityVerifier:
    """Checks of the cosines of one feature set."""

    def __init__(self, backend: Backend, feature_path: str) -> None:
        self._backend, self._feature_path = backend, feature_path
        _, dataset, _ = feature_path.split("/")
        words = ("vifi", "texts", backend.folder, "--dataset", dataset, "--model", "M")
        self._again = shell(*words, "--pretrained", "FILE")

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with them."""
        for texts in similarity_ids(self._backend, self._feature_path):
            try:
                yield from self._check(texts)
            except (VifiError, *MALFORMED) as error:
                path = similarity_path(self._feature_path, texts)
                yield self._problem(path, f"cannot be read: {error}".partition("; run")[0])

    def _problem(self, where: str, what: str) -> Problem:
        folder = "/".join(where.split("/")[:5])
        remedy = f"{removal(self._backend, folder)}, then: {self._again}"
        return Problem(where=where, what=what, remedy=remedy)

    def _check(self, texts: str) -> Iterator[Problem]:
        found = Similarities(self._backend, self._feature_path, texts)
        if not has_texts(self._backend, texts):
            yield self._problem(found.path, f"orphan: there is no text set {texts}")
        else:
            classes = len(self._backend.attributes(f"texts/{texts}")["class_names"])
            if classes != found.shape[2]:
                words = f"it has {found.shape[2]} classes, its text set {classes}"
                yield self._problem(found.path, words)
        yield from self._check_blocks(found)
        sealed = found.sealed
        if sealed and found.manifest(sealed["rows"]) != sealed["manifest"]:
            yield self._problem(found.path, "its chunks are not those that were sealed")

    def _check_blocks(self, found: Similarities) -> Iterator[Problem]:
        covered = found.sealed["rows"] if found.sealed else 0
        rows = min(found.shape[0], self._backend.layout(f"{self._feature_path}/status").shape[0])
        if covered > rows:
            words = f"{covered} videos were sealed, and it has {rows}"
            yield self._problem(found.path, words)
        status = read_status_leniently(self._backend, self._feature_path, 0, rows)
        for block in range(num_blocks(rows)):
            span = block_rows(block, rows)
            try:
                values = found.read(span.start, span.stop)
            except DamagedError as error:
                where = f"{found.array_path}/c.{block}.0.0"
                yield self._problem(where, str(error).partition("; run")[0])
                continue
            if wrong := _wrong(values, status[span.start : span.stop], span, covered):
                yield self._problem(found.array_path, f"block {block}: {wrong}")


def _wrong(values: np.ndarray, status: np.ndarray, span: range, covered: int) -> str:
    """What is wrong with cosines [video view class] of these rows, of which those before `covered`
    were sealed; empty for nothing."""
    flat = values.reshape(len(values), -1)
    lacks = ~np.isfinite(flat).all(axis=1)
    is_sealed = np.arange(span.start, span.stop) < covered
    if (missing := lacks & is_sealed & (status == DONE)).any():
        return f"row {span.start + int(missing.argmax())} is not finite"
    if (far := ~lacks & (np.abs(flat) > _MOST).any(axis=1)).any():
        return f"row {span.start + int(far.argmax())} holds what is no cosine"
    return ""
