"""Plan a feature set: its group and arrays are made if it is new, and grown if it is not."""

from collections.abc import Iterable, Mapping

from vifistore.errors import DamagedError, StoreError, UsageError
from vifistore.store.claims.claims import CLAIMS, block_of
from vifistore.store.feature_record import (
    FeatureRecord,
    FurtherArray,
    check_further,
    declaration,
)
from vifistore.store.key_value.durable import parallel
from vifistore.store.recipe import sees_clips
from vifistore.store.schema import BLOCK_SIZE, FEATURE_ARRAYS
from vifistore.store.zarr_format.backend import Backend
from vifistore.store.zarr_format.layout import Layout


def plan_set(
    backend: Backend,
    path: str,
    lengths: Mapping[str, int],
    arrays: Iterable[str],
    further: Mapping[str, FurtherArray],
    attributes: Mapping,
) -> dict[str, Layout]:
    """Have the feature set at `path` cover `lengths["video"]` videos; return how each of its arrays
    is laid out.

    `arrays` names those of FEATURE_ARRAYS that it has, `lengths` those of their axes; `attributes`
    are those of a set that is new. Raises UsageError for further arrays that a set cannot have, or
    others than it has, StoreError for one that covers more videos, DamagedError for chunks of
    another size.
    """
    check_further(further, lengths)
    is_new = not backend.exists(path)
    shapes = {name: tuple(lengths[axis] for axis in FEATURE_ARRAYS[name].axes) for name in arrays}
    specs = {name: FEATURE_ARRAYS[name] for name in shapes}
    for name, array in further.items():
        specs[name] = array.spec
        shapes[name] = (lengths["video"], lengths["view"], *array.lengths)
    wanted = {
        f"{path}/{name}": (specs[name], shape, (BLOCK_SIZE, *shape[1:]))
        for name, shape in shapes.items()
    }
    # Held throughout: arrays without a group are what a removal that was stopped has left.
    with backend.place.writing():
        if is_new:
            _forget_removed(backend, path)
        else:
            _require_same_arrays(backend, FeatureRecord(backend, path), further)
        _require_no_more_rows(backend, path, lengths["video"])
        if is_new and (further or sees_clips(attributes["recipe"])):
            backend.require_schema(2)
        backend.make_arrays(wanted)
        if is_new:
            # Last, so that a set is there when all of it is.
            backend.make_group(
                path, {**attributes, **declaration({n: array.spec for n, array in further.items()})}
            )
    return {name: _own_layout(backend, f"{path}/{name}") for name in shapes}


def _forget_removed(backend: Backend, path: str) -> None:
    """Remove what a removal that was stopped has left and that would say that videos are done."""
    backend.place.remove(f"{path}/status")
    files = backend.place.files(f"{path}/{CLAIMS}")
    claims = [f.key.rpartition("/")[0] for f in files if block_of(f.key) is not None]
    parallel(backend.place.remove, claims, backend.place.threads(0))


def _require_same_arrays(
    backend: Backend, record: FeatureRecord, further: Mapping[str, FurtherArray]
) -> None:
    """Raise UsageError for other further arrays: each block has every array of its set."""
    there = [name for name in record.declared if backend.exists(f"{record.path}/{name}")]
    # What was lost is made anew, as the arrays of every set are.
    lost = {n: a for n, a in further.items() if n not in there and a.spec == record.declared.get(n)}
    if record.further_of(there) | lost != dict(further):
        raise UsageError(
            f"feature set {record.id} has {_listed(record.further)} beside its frames, and what is "
            f"to be written {_listed(further)}; write what it has, or remove the set first"
        )


def _listed(further: Mapping[str, FurtherArray]) -> str:
    return ", ".join(f"{n} {a.dtype} {list(a.lengths)}" for n, a in further.items()) or "nothing"


def _require_no_more_rows(backend: Backend, path: str, num_videos: int) -> None:
    """Raise StoreError if the set is longer than planned: cutting it would lose videos."""
    if not backend.exists(f"{path}/status"):
        return
    num_rows = backend.layout(f"{path}/status").shape[0]
    if num_rows > num_videos:
        raise StoreError(
            f"feature set {path.rpartition('/')[2]} covers {num_rows} videos, the dataset "
            f"{num_videos}; another process has just added some: run the same command again"
        )


def _own_layout(backend: Backend, path: str) -> Layout:
    layout = backend.own_layout(path)
    if layout.size != BLOCK_SIZE:
        raise DamagedError(
            f"{backend.folder}/{path} has chunks of {layout.size} rows, not {BLOCK_SIZE}; run: "
            f"{backend.verify_command}"
        )
    return layout
