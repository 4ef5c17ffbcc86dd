"""Verify which files a store has: each belongs to an array or a group, or is told of.

What another program laid out is not ours to judge: groups and arrays that this schema does not name
are left alone, and the chunks of any array may be cut and called as zarr allows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vifistore.errors import DamagedError, shell
from vifistore.files import parse_json_object
from vifistore.store.leftovers import leftovers
from vifistore.store.problems import Problem, is_extracted
from vifistore.store.schema import GROUPS, SIMILARITIES, SUBGROUPS
from vifistore.store.zarr_format.backend import DAMAGE, Backend
from vifistore.store.zarr_format.layout import Grid, parse_layout

_FILE = "zarr.json"


@dataclass(frozen=True, kw_only=True)
class _Node:
    """What a zarr.json describes."""

    grid: Grid | None = None
    """How an array is cut; None for a group."""


Nodes = dict[str, _Node | None]
"""By path; None for a zarr.json that cannot be read."""


def verify_files(backend: Backend) -> Iterator[Problem]:
    """Yield files and folders that belong to nothing, and zarr.json files that cannot be read."""
    folders = sorted(backend.place.walk())
    nodes = {path: _node(backend, path) for path, names in folders if _FILE in names}
    left = leftovers(backend)
    done = [*left, *_foreign(nodes)]
    for path, names in folders:
        if not _is_in(path, done):
            files = [name for name in names if not _is_in(_join(path, name), left)]
            yield from _verify_folder(backend, path, files, nodes, done)
    # What was on its way to its name has it by now.
    for where in sorted({*left}.intersection(leftovers(backend) if left else ())):
        what = "left over: a stopped run had half written it, and the next one removes it"
        remedy = shell("vifi", "gc", backend.folder, "--delete")
        yield Problem(where=where, what=what, remedy=remedy)


def _node(backend: Backend, path: str) -> _Node | None:
    try:
        found = parse_json_object(backend.place.get(_join(path, _FILE)))
        if found["zarr_format"] != 3 or found["node_type"] not in ("group", "array"):
            return None
        if found["node_type"] == "array":
            return _Node(grid=parse_layout(found))
        return _Node() if isinstance(found.get("attributes", {}), dict) else None
    except (*DAMAGE, OSError):
        return None


def _foreign(nodes: Nodes) -> list[str]:
    """Groups and arrays below the root that this schema does not name."""
    return [path for path in nodes if nodes[path] and path and _top(path) not in GROUPS]


def _verify_folder(
    backend: Backend, path: str, names: list[str], nodes: Nodes, done: list[str]
) -> Iterator[Problem]:
    """Yield what is wrong with a folder; it goes to `done` where those in it are no matter."""
    if above := _array_above(path, nodes):
        array, grid = above
        inner = path[len(array) + 1 :]
        if grid.holds_folder(inner):
            yield from _strangers(backend, array, (f"{inner}/{name}" for name in names), grid)
            return
        done.append(path)
        yield _orphan(backend, path, "folder that nothing names")
    elif _FILE not in names:
        done.append(path)
        yield _without_metadata(backend, path, names, nodes)
    elif (node := nodes[path]) is None:
        yield Problem(
            where=_join(path, _FILE),
            what="damaged: it is not the JSON text of a zarr group or array",
            remedy=_metadata_remedy(backend, path),
        )
    else:
        yield from _strangers(backend, path, names, node.grid)


def _array_above(path: str, nodes: Nodes) -> tuple[str, Grid] | None:
    """The array in whose folder a folder lies, and how it is cut; None if it lies in none."""
    while above := path.rpartition("/")[0]:
        node = nodes.get(above)
        if node and node.grid:
            return above, node.grid
        path = above
    return None


def _strangers(
    backend: Backend, path: str, names: Iterable[str], grid: Grid | None
) -> Iterator[Problem]:
    for name in sorted(names):
        # Hidden files are of the system, or of programs that keep metadata in another format.
        if name in (_FILE, "") or name.rpartition("/")[2].startswith("."):
            continue
        if grid is None or not grid.holds(name):
            yield _orphan(backend, _join(path, name), "file that no array names")


def _without_metadata(backend: Backend, path: str, names: list[str], nodes: Nodes) -> Problem:
    """What to say of a folder without a zarr.json: it may be all that it lacks."""
    holds_nodes = any(other.startswith(f"{path}/") for other in nodes)
    holds_chunks = any(name.startswith("c.") for name in names)
    is_root = "/" not in path and path not in GROUPS
    if is_root or not (holds_nodes or holds_chunks):
        return _orphan(backend, path, "folder that nothing names")
    return Problem(
        where=path,
        what="damaged: folder without a zarr.json, which is gone",
        remedy=_metadata_remedy(backend, path),
    )


def _orphan(backend: Backend, where: str, what: str) -> Problem:
    file = shell(f"{backend.folder}/{where}")
    remedy = f"move {file} out of the store, or restore what belongs to it from a copy"
    return Problem(where=where, what=f"orphan: {what}", remedy=remedy)


def _metadata_remedy(backend: Backend, path: str) -> str:
    parts = path.split("/")
    is_array = parts[0] == "features" and len(parts) == 4 and parts[3] not in SUBGROUPS
    if is_array and _is_extracted(backend, "/".join(parts[:3])):
        return shell("vifi", "extract", backend.folder, "--dataset", parts[1], "...", "--repair")
    restored = f"restore {shell(f'{backend.folder}/{path}/{_FILE}')} from a copy"
    if parts[0] == "videos" and len(parts) == 2 and not _is_used(backend, parts[1]):
        words = ("vifi", "scan", backend.folder, "SOURCE", "--dataset", parts[1])
        return f"{shell(*words)}, as a scan that was stopped leaves this; or {restored}"
    if parts[0] == "features" and len(parts) == 5 and parts[3] == SIMILARITIES:
        words = ("vifi", "gc", backend.folder, "--delete")
        return f"{shell(*words)}, as `vifi texts` that was stopped leaves this; or {restored}"
    return restored


def _is_used(backend: Backend, dataset: str) -> bool:
    """Whether anything of the store belongs to rows of a dataset."""
    kinds = ("features", "names", "splits", "captions")
    return any(backend.has_child(kind, dataset) for kind in kinds)


def _is_extracted(backend: Backend, path: str) -> bool:
    try:
        return is_extracted(backend.attributes(path))
    except DamagedError:
        return False


def _join(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _top(path: str) -> str:
    return path.partition("/")[0]


def _is_in(path: str, places: list[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)
