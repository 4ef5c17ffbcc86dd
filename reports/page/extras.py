"""What only the page shows, read and checked: see vifi.artefacts for who writes it.

    artefacts/gallery.json     [{"query", "kind", "dataset", "features", "thumbnail", "hits": [
                                 {"rank", "score", "dataset", "id", "path", "label", "is_right",
                                  "start_seconds", "end_seconds", "thumbnail"}, ...]}, ...]
    artefacts/attention.json   [{"dataset", "id", "label", "models", "image", "strip"}, ...]
    artefacts/provenance.json  {"checkpoints": [{"digest", "names", "step", "depth"}, ...],
                                "recipes": [{"dataset", "id", "names", "recipe"}, ...],
                                "versions": {package: version}}
    artefacts/throughput.json  [{...}, ...]
    artefacts/commands.json    ["vifi ...", ...]

All are optional. Paths in them are relative to the results folder; one that leads out of it, or to
nothing, is shown as no picture (`picture_path`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reports.artefacts import FOLDER
from vifistore.errors import DamagedError
from vifistore.files import read_json

_PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".webp")
_HIT = {"rank": int, "score": (int, float), "id": str, "label": str}


@dataclass(frozen=True, kw_only=True)
class Extras:
    """All that only the page shows."""

    gallery: tuple[dict, ...] = ()
    """Queries with their hits."""
    attention: tuple[dict, ...] = ()
    """Figures of what models look at."""
    checkpoints: tuple[dict, ...] = ()
    """The tree of checkpoints, parents before their children."""
    recipes: tuple[dict, ...] = ()
    """Feature sets with their recipes."""
    versions: dict = field(default_factory=dict)
    """Package -> version."""
    throughput: tuple[dict, ...] = ()
    """How fast something was."""
    commands: tuple[str, ...] = ()
    """Commands that made what is no result row."""


def read_extras(folder: str | Path) -> Extras:
    """Read what there is. Raises DamagedError naming a file that is not what it should be."""
    inner = Path(folder) / FOLDER
    gallery = _records(inner / "gallery.json", {"query": str, "hits": list})
    for query in gallery:
        _check_records(inner / "gallery.json", query["hits"], _HIT)
    made = _provenance(inner / "provenance.json")
    return Extras(
        gallery=tuple(gallery),
        attention=tuple(_records(inner / "attention.json", {"id": str, "image": str})),
        checkpoints=tuple(made["checkpoints"]),
        recipes=tuple(made["recipes"]),
        versions=made["versions"],
        throughput=tuple(_records(inner / "throughput.json", {})),
        commands=tuple(map(str, _read(inner / "commands.json", list))),
    )


def picture_path(folder: Path, name: object) -> str:
    """A picture's path as a page in `folder` may link it, or "" for one that is not there.

    Only relative paths below `folder`, to files that are pictures by their name.
    """
    if not isinstance(name, str) or PurePosixPath(name).suffix.lower() not in _PICTURES:
        return ""
    path = folder / name
    try:
        is_shown = path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError):
        # No file has a name that long, or with a zero byte in it.
        return ""
    return PurePosixPath(name).as_posix() if is_shown else ""


def thumbnail_path(dataset: str, row: int, seconds: float | None = None) -> str:
    """Where the picture of a video, or of a moment of it, stands below the results folder."""
    moment = "" if seconds is None else f"-{round(1000 * seconds)}"
    return f"{FOLDER}/thumbnails/{dataset}/{row}{moment}.jpg"


def _provenance(path: Path) -> dict:
    found = _read(path, dict)
    parts = {"checkpoints": found.get("checkpoints", []), "recipes": found.get("recipes", [])}
    _check_records(path, parts["checkpoints"], {"digest": str, "names": list, "depth": int})
    _check_records(path, parts["recipes"], {"id": str, "recipe": dict})
    versions = found.get("versions", {})
    if not isinstance(versions, dict):
        raise _damaged(path, "has versions that are no object")
    return parts | {"versions": versions}


def _records(path: Path, needed: Mapping[str, type | tuple]) -> list[dict]:
    found = _read(path, list)
    _check_records(path, found, needed)
    return found


def _check_records(path: Path, records: object, needed: Mapping[str, type | tuple]) -> None:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise _damaged(path, "must hold lists of objects")
    for record in records:
        for name, kind in needed.items():
            if not isinstance(record.get(name), kind):
                raise _damaged(path, f"has an entry whose {name} is missing or of another kind")


def _read(path: Path, kind: type) -> dict | list:
    if not path.is_file():
        return kind()
    try:
        found = read_json(path)
    except ValueError as error:
        raise _damaged(path, f"is not JSON ({error})") from error
    if not isinstance(found, kind):
        raise _damaged(path, f"is no JSON {'list' if kind is list else 'object'}")
    return found


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} {what}; mend the file or remove it")
