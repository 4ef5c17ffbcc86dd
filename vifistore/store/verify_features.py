"""Verify one feature set, a block at a time: checksums, shapes, statuses, pooled views, seal."""

from collections.abc import Iterator

import numpy as np

from vifistore.errors import DamagedError, VifiError, shell
from vifistore.store.block_ranges import stretches
from vifistore.store.chunks import checksums, is_own, lacks_chunk, manifest_digest, open_checked
from vifistore.store.dataset import Dataset
from vifistore.store.features import read_feature_fields
from vifistore.store.layout import Grid, Layout
from vifistore.store.pooling import pool_views, unit_views
from vifistore.store.problems import Problem, extract_command, removal
from vifistore.store.recipe import recipe_id
from vifistore.store.schema import (
    BLOCK_SIZE,
    DONE,
    FEATURE_ARRAYS,
    QUARANTINE_REASONS,
    QUARANTINED,
    TODO,
)
from vifistore.store.verify_derived import derived_problems, remake_command

# Sums over frames in another order differ by a few roundings of float32 (6e-8 each) per frame.
_POOLING_TOLERANCE = 1e-5

# Reading what a zarr.json does not hold, or holds as another type.
_MALFORMED = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError)


class FeatureVerifier:
    """Checks of one feature set; memory is bounded by one block."""

    def __init__(self, dataset: Dataset, feature_id: str) -> None:
        self._backend = dataset.backend
        self._dataset = dataset
        self._id = feature_id
        self._path = dataset.feature_path(feature_id)
        self._arrays: dict[str, Grid] = {}
        self._again = self._repair = shell("vifi", "gc", self._backend.folder, "--delete")
        self._attributes: dict = {}

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the set."""
        try:
            yield from self._problems()
        except _MALFORMED as error:
            yield self._problem("zarr.json", f"cannot be read: {error!r}", self._remake())

    def _problems(self) -> Iterator[Problem]:
        try:
            self._attributes = self._backend.attributes(self._path)
        except DamagedError as error:
            remedy = "restore zarr.json from a copy, or remove the folder and run vifi extract"
            yield Problem(where=f"{self._path}/zarr.json", what=str(error), remedy=remedy)
            return
        recipe = self._attributes.get("recipe")
        if not isinstance(recipe, dict):
            yield self._problem("", "orphan: it has no recipe", self._again)
            return
        try:
            read_feature_fields(self._backend, self._path)
        except DamagedError as error:
            file = f"{self._backend.folder}/{self._path}/zarr.json"
            remedy = f"restore {shell(file)} from a copy"
            yield self._problem("zarr.json", str(error).partition("; run")[0], remedy)
            return
        self._again, self._repair = self._commands(recipe)
        if (digest := recipe_id(recipe)) != self._id:
            yield self._problem("", f"the digest of its recipe is {digest}", self._remake())
        if "parent" in recipe:
            for what in derived_problems(self._dataset, self._attributes):
                yield self._problem("", what, self._again)
        yield from self._open_arrays()
        if "status" in self._arrays:
            yield from self._check_shapes(recipe)
            yield from self._check_blocks()
            yield from self._check_seal()

    def _commands(self, recipe: dict) -> tuple[str, str]:
        """What makes the set, and what makes its damaged blocks."""
        if "parent" in recipe:
            again = remake_command(self._backend, self._path, self._attributes)
            return again, again
        if imported := recipe.get("imported"):
            words = ("vifi", "import", self._backend.folder, imported["source"])
            again = f"{removal(self._backend, self._path)}, then: {shell(*words)}"
            return again, again
        again = extract_command(self._dataset, recipe)
        return again, extract_command(self._dataset, recipe, "--repair")

    def _problem(self, below: str, what: str, remedy: str, block: int | None = None) -> Problem:
        where = f"{self._path}/{below}".rstrip("/")
        return Problem(where=where, what=what, remedy=remedy, block=block)

    def _remake(self) -> str:
        first = f"{removal(self._backend, self._path)}, then: "
        return first + self._again.removeprefix(first)

    @property
    def _sealed_rows(self) -> int | None:
        sealed = self._attributes.get("sealed")
        return int(sealed["rows"]) if sealed else None

    def _open_arrays(self) -> Iterator[Problem]:
        recipe = self._attributes["recipe"]
        optional: tuple[str, ...] = ()
        if not recipe.get("frames"):
            # A derived set has no frames, and means that were made elsewhere no consensus either.
            optional = ("frames", "timestamps")
            optional += () if "parent" in recipe else ("view_consensus",)
        for name in FEATURE_ARRAYS:
            path = f"{self._path}/{name}"
            if not self._backend.exists(path):
                if name not in optional:
                    yield self._problem(f"{name}/zarr.json", "the array is gone", self._repair)
                continue
            try:
                self._arrays[name] = open_checked(self._backend, path)
            except DamagedError as error:
                yield self._problem(f"{name}/zarr.json", str(error), self._repair)

    def _check_shapes(self, recipe: dict) -> Iterator[Problem]:
        lengths: dict[str, int] = {}
        counts = [recipe.get(name) for name in ("frames", "clips", "crops")]
        if all(type(count) is int for count in counts):
            lengths = {"frame": recipe["frames"], "view": recipe["clips"] * recipe["crops"]}
        rows = self._sealed_rows
        for name, grid in list(self._arrays.items()):
            spec = FEATURE_ARRAYS[name]
            if what := self._wrong_kind(name, grid):
                yield self._problem(name, what, self._remake())
                del self._arrays[name]
                continue
            if rows is not None and grid.shape[0] < rows:
                words = f"it has {grid.shape[0]} videos, {rows} were sealed"
                yield self._problem(name, words, self._repair)
            # Arrays grow one after another: a killed run may leave some of them shorter.
            for axis, length in zip(spec.axes[1:], grid.shape[1:], strict=True):
                if lengths.setdefault(axis, length) != length:
                    words = f"its {axis} axis has {length} entries, not {lengths[axis]}"
                    yield self._problem(name, words, self._remake())

    def _wrong_kind(self, name: str, grid: Grid) -> str:
        """What is wrong with the axes, the numbers or the chunks of an array; empty for nothing.

        Another program need not name the axes, and cuts and stores as it likes.
        """
        spec, array = FEATURE_ARRAYS[name], self._backend.open_array(f"{self._path}/{name}")
        is_ours, metadata = isinstance(grid, Layout), array.metadata
        named = metadata.dimension_names if metadata.zarr_format == 3 else None
        names = named or (() if is_ours else spec.axes)
        if names != spec.axes or len(grid.shape) != len(spec.axes):
            return f"its axes are not {spec.axes}"
        is_text = spec.dtype == "str"
        if is_text != (array.dtype.kind in "OTU") or not (is_text or array.dtype.kind in "fiu"):
            return f"it holds {array.dtype}, not {spec.dtype}"
        if is_ours and not is_text and array.dtype != np.dtype(spec.dtype):
            return f"it holds {array.dtype}, not {spec.dtype}"
        if is_ours and not is_own(grid):
            return f"its chunks are {grid.chunk_shape}"
        return ""

    def _check_blocks(self) -> Iterator[Problem]:
        rows = self._sealed_rows
        if rows is None:
            rows = min(grid.shape[0] for grid in self._arrays.values())
        num_videos = min(rows, self._most_rows())
        if num_videos < rows:
            words = f"it says that it covers {rows} videos; there can be {num_videos} at most"
            file = shell(f"{self._backend.folder}/{self._path}/zarr.json")
            yield self._problem("zarr.json", words, f"restore {file} from a copy")
        for block, (start, stop) in enumerate(stretches(0, num_videos)):
            yield from self._check_block(block, start, stop)

    def _most_rows(self) -> int:
        """How many videos there can be, by what is stored: a number is easily written."""
        try:
            return self._dataset.num_videos
        except VifiError:
            files = self._backend.place.files(f"{self._path}/status")
            return sum(1 for _ in files) * BLOCK_SIZE

    def _is_unwritten(self, block: int, start: int, stop: int) -> bool:
        """Whether no video of a block was written yet, so that nothing of it need be there."""
        path, grid = f"{self._path}/status", self._arrays["status"]
        if self._sealed_rows is not None:
            return False
        if isinstance(grid, Layout):
            return lacks_chunk(self._backend, path, grid, block)
        return bool((self._backend.read(path, start, stop) == TODO).all())

    def _check_block(self, block: int, start: int, stop: int) -> Iterator[Problem]:
        if self._is_unwritten(block, start, stop):
            return
        data = {}
        for name, grid in self._arrays.items():
            path, chunk = f"{self._path}/{name}", grid.key(name, block)
            if lacks_chunk(self._backend, path, grid, block):
                yield self._problem(chunk, "the chunk is gone", self._repair, block)
                continue
            try:
                data[name] = self._backend.read(path, start, stop)
            except DamagedError as error:
                yield self._problem(chunk, str(error).partition("; run")[0], self._repair, block)
        for name, what in self._wrong_values(data, start):
            yield self._problem(name, what, self._repair, block)

    def _wrong_values(self, data: dict[str, np.ndarray], start: int) -> Iterator[tuple[str, str]]:
        """Yield (array, what is wrong) for the values of a block that begins at row `start`."""
        if "status" not in data:
            return
        status = data["status"]
        done = status == DONE
        wrong = {"status": ~np.isin(status, (TODO, DONE, QUARANTINED))}
        if self._sealed_rows is not None:
            wrong["status"] |= status == TODO
        if "reason" in data:
            known = np.isin(data["reason"].astype(object), QUARANTINE_REASONS)
            wrong["reason"] = np.where(status == QUARANTINED, ~known, data["reason"] != "")
            wrong["reason"] &= status != TODO
        numbers = ("frames", "view_mean", "view_consensus", "timestamps")
        # Embeddings that were made elsewhere may come without times.
        for name in numbers[: 3 if "imported" in self._attributes["recipe"] else 4]:
            if name in data:
                finite = np.isfinite(data[name]).reshape(len(status), -1).all(axis=1)
                wrong[name] = done & ~finite
        words = {"status": "is not settled", "reason": "does not go with the status"}
        for name, rows in wrong.items():
            if rows.any():
                first = start + int(rows.argmax())
                what = words.get(name, "is not finite")
                yield name, f"{int(rows.sum())} videos: {name} {what} (first: row {first})"
        origin = "frames" if "frames" in self._arrays else "view_mean"
        # Where it is damaged, the rest has nothing to be compared with.
        if origin in data:
            yield from _wrong_views(data, done & ~wrong[origin], start)

    def _check_seal(self) -> Iterator[Problem]:
        sealed = self._attributes.get("sealed")
        if not sealed:
            return
        try:
            stored = checksums(self._backend, self._path, sealed["rows"])
        except DamagedError:
            # Whatever is lost has been named already.
            return
        if manifest_digest(stored) != sealed["manifest"]:
            yield self._problem("", "its chunks are not those that were sealed", self._repair)


def _wrong_views(
    data: dict[str, np.ndarray], usable: np.ndarray, start: int
) -> Iterator[tuple[str, str]]:
    """Compare the view arrays with what the stored frames give, or one with the other where there
    are none; rows `usable` only."""
    if not usable.any():
        return
    rows = start + np.flatnonzero(usable)
    for name, origin, expected, scale in _expected_views(data, usable):
        error = np.abs(data[name][usable] - expected).reshape(len(rows), -1).max(axis=1)
        far = ~(error <= _POOLING_TOLERANCE * scale)
        if far.any():
            first = int(rows[far.argmax()])
            what = f"{name} is not what the {origin} give (first: row {first})"
            yield name, f"{int(far.sum())} videos: {what}"


def _expected_views(
    data: dict[str, np.ndarray], usable: np.ndarray
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield (array, from what, its values float32 [video view dim], their size [video])."""
    expected = {}
    ones = np.ones(int(usable.sum()), np.float32)
    if "frames" in data:
        frames = data["frames"][usable]
        largest = np.abs(frames).astype(np.float32).reshape(len(frames), -1).max(axis=1)
        mean, consensus = pool_views(frames)
        expected["view_mean"] = "frames", mean, np.maximum(largest, 1.0)
        expected["view_consensus"] = "frames", consensus, ones
    else:
        expected["view_consensus"] = "means", unit_views(data["view_mean"][usable]), ones
    yield from ((name, *values) for name, values in expected.items() if name in data)


def damaged_blocks(dataset: Dataset, feature_id: str) -> tuple[list[int], list]:
    """Blocks of a feature set that have to be encoded again, and every problem found."""
    found = list(FeatureVerifier(dataset, feature_id).problems())
    return sorted({p.block for p in found if p.block is not None}), found
