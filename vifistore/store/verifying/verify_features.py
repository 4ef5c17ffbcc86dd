"""Verify one feature set, a block at a time: checksums, shapes, statuses, pooled views, seal."""

from collections.abc import Iterator

import numpy as np

from vifistore.errors import DamagedError, VifiError, shell
from vifistore.store.dataset import Dataset
from vifistore.store.feature_record import (
    NUM_QUARANTINED,
    NUM_VALID,
    FeatureRecord,
    declared_arrays,
    read_feature_fields,
)
from vifistore.store.key_value.durable import ahead
from vifistore.store.problems import MALFORMED, Problem, removal
from vifistore.store.recipe import recipe_id, view_shape
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS, QUARANTINED, TODO, ArraySpec
from vifistore.store.verifying.verify_claims import wrong_claims
from vifistore.store.verifying.verify_derived import derived_problems, remake_commands
from vifistore.store.verifying.verify_similarities import SimilarityVerifier
from vifistore.store.verifying.verify_values import wrong_values
from vifistore.store.zarr_format.array_kinds import wrong_numbers
from vifistore.store.zarr_format.block_ranges import num_blocks, stretches
from vifistore.store.zarr_format.chunks import (
    checksums,
    is_own,
    lacks_chunk,
    manifest_digest,
    open_checked,
)
from vifistore.store.zarr_format.coding import read_block
from vifistore.store.zarr_format.layout import Grid, Layout

# What the blocks that are looked at together may take, each read once and compared in float32.
_MOST_BYTES, _COPIES = 256 * 2**20, 4


class FeatureVerifier:
    """Checks of one feature set; memory is bounded by some blocks."""

    def __init__(self, dataset: Dataset, feature_id: str) -> None:
        self._backend = dataset.backend
        self._dataset = dataset
        self._id = feature_id
        self._path = dataset.feature_path(feature_id)
        self._arrays: dict[str, Grid] = {}
        self._specs: dict[str, ArraySpec] = {}
        self._checksums: dict[str, list[bytes]] = {}
        self._again = self._repair = shell("vifi", "gc", self._backend.folder, "--delete")
        self._attributes: dict = {}
        self._num_quarantined: dict[int, int] = {}

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with the set."""
        try:
            yield from self._problems()
        except MALFORMED as error:
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
        self._again, self._repair = remake_commands(self._dataset, self._path, self._attributes)
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
            yield from self._check_claims()
            yield from SimilarityVerifier(self._backend, self._path).problems()

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
        declared = declared_arrays(self._attributes)
        self._specs = {**FEATURE_ARRAYS, **declared}
        if NUM_VALID not in declared and self._backend.exists(f"{self._path}/{NUM_VALID}"):
            file = shell(f"{self._backend.folder}/{self._path}/zarr.json")
            remedy = f"restore {file}, which may have lost its `arrays`, from a copy; only if "
            remedy += f"there never were any, {removal(self._backend, f'{self._path}/{NUM_VALID}')}"
            yield self._problem(NUM_VALID, "orphan: the set does not declare this array", remedy)
        for name in self._specs:
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
        if shape := view_shape(recipe):
            lengths = {"view": shape[0], "frame": shape[1]}
        rows = self._sealed_rows
        for name, grid in list(self._arrays.items()):
            spec = self._specs[name]
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
        spec, array = self._specs[name], self._backend.open_array(f"{self._path}/{name}")
        is_ours, metadata = isinstance(grid, Layout), array.metadata
        named = metadata.dimension_names if metadata.zarr_format == 3 else None
        names = named or (() if is_ours else spec.axes)
        if names != spec.axes or len(grid.shape) != len(spec.axes):
            return f"its axes are not {spec.axes}"
        if wrong := wrong_numbers(spec, grid, array.dtype):
            return wrong
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
        spans = list(enumerate(stretches(0, num_videos)))
        self._checksums = {name: [b""] * len(spans) for name in self._arrays}
        for problems in ahead(self._check_block, spans, self._threads()):
            yield from problems

    def _threads(self) -> int:
        """How many blocks are looked at together: memory holds so many."""
        num_bytes = sum(
            min(grid.size, BLOCK_SIZE) * grid.row_bytes
            for grid in self._arrays.values()
            if isinstance(grid, Layout)
        )
        most = max(1, _MOST_BYTES // max(1, _COPIES * num_bytes))
        return min(most, self._backend.place.threads(num_bytes))

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

    def _check_block(self, span: tuple[int, tuple[int, int]]) -> list[Problem]:
        block, (start, stop) = span
        if self._is_unwritten(block, start, stop):
            return []
        data, problems = {}, []
        for name, grid in self._arrays.items():
            chunk = grid.key(name, block)
            try:
                data[name] = self._read(name, grid, block, start, stop)
            except FileNotFoundError:
                problems.append(self._problem(chunk, "the chunk is gone", self._repair, block))
            except DamagedError as error:
                what = str(error).partition("; run")[0]
                problems.append(self._problem(chunk, what, self._repair, block))
        specs = {name: self._specs[name] for name in self._arrays}
        # Embeddings that were made elsewhere may come without times.
        if "imported" in self._attributes["recipe"]:
            specs.pop("timestamps", None)
        if "status" in data:
            self._num_quarantined[block] = int((data["status"] == QUARANTINED).sum())
        is_sealed = self._sealed_rows is not None
        for name, what in wrong_values(data, specs, start, is_sealed=is_sealed):
            problems.append(self._problem(name, what, self._repair, block))
        return problems

    def _read(self, name: str, grid: Grid, block: int, start: int, stop: int) -> np.ndarray:
        """Rows of an array, [video ...], whose checksum is remembered. Raises FileNotFoundError for
        a chunk that is gone, DamagedError for one that is not what was written."""
        path = f"{self._path}/{name}"
        if isinstance(grid, Layout) and is_own(grid):
            chunk, self._checksums[name][block] = read_block(
                *(self._backend.place, path, grid, block)
            )
            return chunk[: stop - start]
        if lacks_chunk(self._backend, path, grid, block):
            raise FileNotFoundError(path)
        return self._backend.read(path, start, stop)

    def _check_claims(self) -> Iterator[Problem]:
        count = num_blocks(self._arrays["status"].shape[0])
        told = (self._arrays, self._compared(), count)
        for where, what, block in wrong_claims(self._backend, self._path, *told):
            remedy = removal(self._backend, f"{self._path}/{where}")
            remedy = f"while nobody writes the set, {remedy}" if block is None else self._repair
            yield self._problem(where, what, remedy, block)

    def _compared(self) -> dict[str, list[bytes]]:
        """Checksums of chunks that have to be those of claims: a status follows until the seal."""
        left_out = "" if self._attributes.get("sealed") else "status"
        return {name: ends for name, ends in self._checksums.items() if name != left_out}

    def _check_seal(self) -> Iterator[Problem]:
        sealed = self._attributes.get("sealed")
        if not sealed:
            return
        try:
            stored = self._stored_checksums(sealed["rows"])
        except DamagedError:
            # Whatever is lost has been named already.
            return
        if manifest_digest(stored) != sealed["manifest"]:
            yield self._problem("", "its chunks are not those that were sealed", self._repair)
        told, found = self._attributes.get(NUM_QUARANTINED), sum(self._num_quarantined.values())
        if told not in (None, found) and len(self._num_quarantined) == num_blocks(sealed["rows"]):
            what = f"it says that {told} videos are quarantined, and {found} are"
            yield self._problem("zarr.json", what, self._repair)

    def _stored_checksums(self, num_rows: int) -> dict[str, list[bytes]]:
        """As `checksums`, which reads the end of every chunk again where that is needed."""
        found, names = self._checksums, FeatureRecord(self._backend, self._path).specs.keys()
        longest = max(grid.shape[0] for grid in self._arrays.values())
        # The last chunk of one that has grown is compared without what came later.
        is_as_sealed = longest == num_rows or num_rows % BLOCK_SIZE == 0
        is_whole = all(all(ends) and len(ends) == num_blocks(num_rows) for ends in found.values())
        if found.keys() == names and is_as_sealed and is_whole:
            return found
        return checksums(self._backend, self._path, num_rows)


def damaged_blocks(dataset: Dataset, feature_id: str) -> tuple[list[int], list]:
    """Blocks of a feature set that have to be encoded again, and every problem found."""
    found = list(FeatureVerifier(dataset, feature_id).problems())
    return sorted({p.block for p in found if p.block is not None}), found
