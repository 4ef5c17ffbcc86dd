"""Verify a store: every checksum of every array, digests, shapes, statuses, names, orphans.

Memory stays bounded: feature sets are read block by block, tables and texts one at a time.
"""

from collections.abc import Iterator

from vifistore.errors import shell
from vifistore.files import parse_json
from vifistore.store.backend import Backend
from vifistore.store.leftovers import PARTIAL
from vifistore.store.problems import Problem, removal
from vifistore.store.store import Store
from vifistore.store.verify_features import FeatureVerifier
from vifistore.store.verify_tables import TableVerifier

# What lies directly below the root of a store.
GROUPS = ("videos", "splits", "captions", "checkpoints", "texts", "features", "names")


def verify_store(store: Store) -> Iterator[Problem]:
    """Yield every problem of a store; none if all is well."""
    backend = store.backend
    yield from verify_files(backend)
    yield from TableVerifier(backend).problems()
    datasets = set(store.datasets())
    for dataset in backend.children("features"):
        if dataset not in datasets:
            yield Problem(
                where=f"features/{dataset}",
                what=f"orphan: there is no dataset {dataset}",
                remedy=f"scan it with {shell('--dataset', dataset)}, or remove the folder",
            )
        for feature_id in backend.children(f"features/{dataset}"):
            yield from FeatureVerifier(backend, dataset, feature_id).problems()


def verify_files(backend: Backend) -> Iterator[Problem]:
    """Yield files and folders that belong to nothing, and zarr.json files that cannot be read."""
    left_out = None
    for path, names in sorted(backend.place.walk()):
        if left_out is not None and path.startswith(f"{left_out}/"):
            continue
        problems, goes_on = _verify_folder(backend, path, set(names))
        yield from problems
        left_out = left_out if goes_on else path


def _verify_folder(backend: Backend, path: str, names: set[str]) -> tuple[list[Problem], bool]:
    """What is wrong with one folder, and whether those in it are worth looking at."""
    if what := _why_unknown(backend, path):
        return [_orphan(backend, path, what)], False
    if "zarr.json" not in names:
        # A run that was stopped before it said what it wrote leaves files under temporary names.
        if "/runs/" in path and all(name.endswith(PARTIAL) for name in names):
            return [_orphan(backend, _join(path, name), "half a group") for name in names], False
        return [_orphan(backend, path, "folder without a zarr.json")], False
    metadata = _metadata(backend, path)
    if metadata is None:
        problem = Problem(
            where=_join(path, "zarr.json"),
            what="damaged: it is not the JSON text of a zarr group or array",
            remedy=_metadata_remedy(backend, path),
        )
        return [problem], True
    known = _chunk_names(metadata) if metadata["node_type"] == "array" else set()
    unknown = sorted(names - known - {"zarr.json"})
    return [
        _orphan(backend, _join(path, name), "file that no array names") for name in unknown
    ], True


def _why_unknown(backend: Backend, path: str) -> str:
    """Why a folder has no place where it lies; empty if it has one."""
    above, _, name = path.rpartition("/")
    if path and not above:
        return "" if name in GROUPS else "folder that nothing names"
    metadata = _metadata(backend, above) if above else None
    is_in_array = metadata is not None and metadata["node_type"] == "array"
    return "folder that nothing names" if is_in_array else ""


def _orphan(backend: Backend, where: str, what: str) -> Problem:
    if where.endswith(PARTIAL):
        remedy = shell("vifi", "gc", backend.folder, "--delete")
    else:
        remedy = f"{removal(backend, where)}, or restore what belongs to it from a copy"
    return Problem(where=where, what=f"orphan: {what}", remedy=remedy)


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _metadata(backend: Backend, path: str) -> dict | None:
    """What a zarr.json says, or None if it is damaged."""
    try:
        found = parse_json(backend.place.get(_join(path, "zarr.json")))
        if found["node_type"] == "group":
            return found if isinstance(found["attributes"], dict) else None
        backend.layout(path)
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found


def _metadata_remedy(backend: Backend, path: str) -> str:
    parts = path.split("/")
    if parts[0] == "features" and len(parts) == 4:
        return shell("vifi", "extract", backend.folder, "--dataset", parts[1], "...", "--repair")
    return f"restore {shell(f'{backend.folder}/{path}/zarr.json')} from a copy"


def _chunk_names(metadata: dict) -> set[str]:
    """Names of every chunk file an array may have; ours are cut along their first axis only."""
    shape = metadata["shape"]
    size = metadata["chunk_grid"]["configuration"]["chunk_shape"][0]
    rest = ".0" * (len(shape) - 1)
    return {f"c.{chunk}{rest}" for chunk in range(-(-shape[0] // size))}
