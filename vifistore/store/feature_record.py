"""What the group of a feature set says of it: its recipe, its seal, and what arrays it has.

Beside the FEATURE_ARRAYS a set may have further arrays `[video view ...]`, which its attribute
`arrays` declares, so that a lost one is noticed:

    num_valid    how many of the frames of a view count; those behind are zero, and pad it
    patch_tokens what X-CLIP's texts follow: of each view a vector for each patch
    any other    what an encoder leaves beside its frames, under a name of its own
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vifistore.errors import DamagedError, UsageError
from vifistore.store.schema import DERIVED_FIELDS, FEATURE_ARRAYS, SUBGROUPS, ArraySpec
from vifistore.store.zarr_format.array_kinds import wrong_array
from vifistore.store.zarr_format.attributes import NONE, read_fields
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.layout import Layout

NUM_VALID = "num_valid"
PATCH_TOKENS = "patch_tokens"
ARRAYS = "arrays"
NUM_QUARANTINED = "quarantined"
"""Attribute of a sealed set: how many of its videos are."""

_FLOATS = ("float16", "float32", "float64")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DTYPES = (*_FLOATS, "uint8", "uint16", "int32", "int64")


@dataclass(frozen=True, kw_only=True)
class FurtherArray:
    """An array `[video view ...]` that a feature set has beside the FEATURE_ARRAYS."""

    dtype: str
    axes: tuple[str, ...] = ()
    """Names of the axes behind video and view."""
    lengths: tuple[int, ...] = ()
    """Their lengths."""

    @property
    def spec(self) -> ArraySpec:
        """What it looks like, before its lengths are known."""
        fill = math.nan if self.dtype in _FLOATS else 0
        return ArraySpec(dtype=self.dtype, axes=("video", "view", *self.axes), fill=fill)


FRAME_COUNTS = FurtherArray(dtype="uint16")
"""What `num_valid` is."""


def declaration(specs: Mapping[str, ArraySpec]) -> dict:
    """The attributes that declare further arrays; none where there are none."""
    told = {n: {"dtype": spec.dtype, "axes": list(spec.axes)} for n, spec in specs.items()}
    return {ARRAYS: told} if told else {}


def declared_arrays(attributes: Mapping) -> dict[str, ArraySpec]:
    """The further arrays that a feature set of these attributes has, by name.

    Raises ValueError for what declares none.
    """
    told = attributes.get(ARRAYS, {})
    if not isinstance(told, dict):
        raise ValueError(f"its arrays are {told!r:.60}")
    return {name: _parsed(name, entry) for name, entry in told.items()}


def _parsed(name: str, entry: object) -> ArraySpec:
    axes = entry.get("axes") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(axes, list) or axes[:2] != ["video", "view"]:
        raise ValueError(f"its array {name!r:.60} is declared as {entry!r:.60}")
    array = FurtherArray(dtype=entry.get("dtype", ""), axes=tuple(axes[2:]))
    if wrong := _wrong(name, array):
        raise ValueError(wrong)
    return array.spec


def _wrong(name: str, array: FurtherArray) -> str:
    """Why a set cannot have such an array; empty if it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r:.80} is not made of lower-case letters, digits and _"
    if name in FEATURE_ARRAYS or name in SUBGROUPS:
        return f"{name!r} is an array or a group of every feature set"
    if array.dtype not in _DTYPES:
        return f"{name!r} is of {array.dtype!r:.40}, not of {', '.join(_DTYPES)}"
    names = ("video", "view", *array.axes)
    if any(not isinstance(axis, str) or not axis for axis in names) or len({*names}) < len(names):
        return f"the axes of {name!r} are {list(names)!r:.80}, not a name each"
    if name == NUM_VALID and array.spec != FRAME_COUNTS.spec:
        return f"{NUM_VALID} is {array.dtype} {list(names)}, not uint16 [video view]"
    return ""


def check_further(further: Mapping[str, FurtherArray], lengths: Mapping[str, int]) -> None:
    """Raise UsageError unless a set whose axes are so long can have these arrays."""
    lengths = dict(lengths)
    for name, array in further.items():
        if wrong := _wrong(name, array):
            raise UsageError(f"{wrong}; give the array another name, dtype or axes")
        if len(array.axes) != len(array.lengths):
            raise UsageError(
                f"{name} has {len(array.axes)} axes behind video and view, and "
                f"{len(array.lengths)} lengths; give each axis one"
            )
        for axis, length in zip(array.axes, array.lengths, strict=True):
            if lengths.setdefault(axis, length) != length or length < 1:
                raise UsageError(
                    f"axis {axis} of {name} has {length} entries, elsewhere in the set "
                    f"{lengths[axis]}; give it another name, or as many"
                )


class FeatureRecord:
    """A feature set as its group describes it; none of its arrays is read."""

    def __init__(self, backend: Backend, path: str) -> None:
        self._backend = backend
        self.path = path
        self.id = path.rpartition("/")[2]
        self._attributes = read_feature_fields(backend, path)
        self._known: set[str] = set()

    @property
    def recipe(self) -> dict:
        """All that decided the numbers, as plain JSON values."""
        return self._attributes["recipe"]

    @property
    def parent(self) -> str:
        """Id of the set whose frames a derived set was made from; empty for any other."""
        return self.recipe.get("parent", "")

    @property
    def head(self) -> dict | None:
        """What a derived set was made by: `digest`, `kind` and more; None for any other."""
        return self._attributes.get("head")

    @property
    def source_recipe(self) -> dict:
        """Recipe by which videos became embeddings: a derived set's is its parent's."""
        return self._attributes.get("parent_recipe", self.recipe)

    @property
    def about(self) -> dict:
        """What a derived set says of its head and parent, to be kept with it; else nothing."""
        return {key: self._attributes[key] for key in DERIVED_FIELDS if key in self._attributes}

    @property
    def sealed(self) -> dict | None:
        """`{"rows", "manifest"}` once every planned video is done or quarantined, else None."""
        return self._attributes["sealed"]

    @property
    def num_quarantined(self) -> int | None:
        """How many videos of a sealed set are, as they were counted then; None where that was not
        kept."""
        return self._attributes.get(NUM_QUARANTINED) if self.sealed else None

    @property
    def provenance(self) -> list[dict]:
        """Who wrote which blocks: host, device, versions; empty until sealed."""
        return self._attributes.get("provenance", [])

    @property
    def has_num_valid(self) -> bool:
        """Whether a view may have fewer frames than the set holds of it."""
        return NUM_VALID in self.declared

    @property
    def declared(self) -> dict[str, ArraySpec]:
        """The arrays that it says it has beside the FEATURE_ARRAYS, by name; one may be lost."""
        return declared_arrays(self._attributes)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays that the set has, by name; those that it declares are there, or lost."""
        own = {n: s for n, s in FEATURE_ARRAYS.items() if self._backend.exists(f"{self.path}/{n}")}
        return {**own, **self.declared}

    def array_path(self, name: str) -> str:
        """Path of an array. Raises DamagedError if it is not there, or is not what the schema or
        the set says of it: other numbers, other axes, fewer videos than were sealed."""
        path = f"{self.path}/{name}"
        spec = FEATURE_ARRAYS.get(name) or self.declared.get(name)
        if spec is None or name in self._known:
            return path
        grid = self._backend.layout(path)
        is_own = isinstance(grid, Layout)
        dtype = grid.dtype if is_own else self._backend.open_array(path).dtype
        if wrong := wrong_array(spec, grid, dtype, self.sealed["rows"] if self.sealed else 0):
            raise DamagedError(
                f"{self._backend.folder}/{path} is damaged: {wrong}; run: "
                f"{self._backend.verify_command}"
            )
        self._known.add(name)
        return path

    @property
    def further(self) -> dict[str, FurtherArray]:
        """The arrays that it has beside the FEATURE_ARRAYS. Raises DamagedError for a lost one."""
        return self.further_of(self.declared)

    def further_of(self, names: Iterable[str]) -> dict[str, FurtherArray]:
        """Those of these names, all of which it declares. Raises DamagedError as `further` does."""
        return {
            name: FurtherArray(
                dtype=(spec := self.declared[name]).dtype,
                axes=spec.axes[2:],
                lengths=self._backend.layout(self.array_path(name)).shape[2:],
            )
            for name in names
        }


def read_feature_fields(backend: Backend, path: str) -> dict:
    """Attributes of the feature set at `path`.

    Raises DamagedError if they lack its recipe or whether it is sealed, or declare no arrays.
    """
    found = read_fields(backend, path, {"recipe": dict, "sealed": (dict, NONE)})
    try:
        declared_arrays(found)
        sealed = found["sealed"]
        if sealed and not (_is_count(sealed.get("rows")) and isinstance(sealed["manifest"], str)):
            raise ValueError("what was sealed is not there")
        quarantined = found.get(NUM_QUARANTINED, 0)
        if sealed and not (_is_count(quarantined) and quarantined <= sealed["rows"]):
            raise ValueError(f"{quarantined!r:.40} videos are quarantined")
    except (ValueError, LookupError) as error:
        raise DamagedError(
            f"{backend.folder}/{path}/zarr.json does not say what it should ({error}); run: "
            f"{backend.verify_command}"
        ) from error
    return found


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
