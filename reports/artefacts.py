"""Files of a results folder that are not result rows. All are optional and checked when read.

    artefacts/summary.json            {"title": str, "lines": [str, ...]}
    artefacts/quarantine.json         [{"dataset", "id", "path", "reason", "message"}, ...]
    artefacts/timings.json            [{"step", "seconds", ...}, ...]; or steps.csv, steps.json
    artefacts/costs.json              [{"features", "gflops", "throughput", "params_millions"}, ...]
    artefacts/NAME.csv                panel,id,label,x,y of the map NAME (tsne or pca)
    artefacts/NAME_separation.csv     panel,metric,value,ci_low,ci_high of the same panels
    artefacts/class_frequencies/D.csv dataset,class,count,subset (base or novel)
    artefacts/per_class/NAME.csv      dataset,features,fusion,class,num_videos,value,ci_low,...
    artefacts/confusion/NAME.csv      dataset,features,fusion,true,predicted,count,num_videos,...
    artefacts/quarantine/NAME.json    as quarantine.json, of one feature set

A folder holds one file per evaluation, so that no two writers share one. Further keys and columns
are kept. GFLOPs are 10^9 multiply-accumulates a view, as the paper counts them; throughput is views
a second.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.results.csv_cells import plain_cell
from vifistore.errors import DamagedError
from vifistore.files import read_json

if TYPE_CHECKING:
    import pandas as pd

FOLDER = "artefacts"
MAPS = ("tsne", "pca")
CLASS_FREQUENCIES, PER_CLASS, CONFUSION = "class_frequencies", "per_class", "confusion"
QUARANTINE = "quarantine"
_COSTS = ("gflops", "throughput", "params_millions")
TIMING_FILES = (f"{FOLDER}/timings.json", "steps.csv", "steps.json")
_NAME_COLUMNS = (
    *("panel", "id", "label", "dataset", "class", "subset", "metric", "step", "features"),
    *("true", "predicted", "most_confused_with", "protocol", "split", "fusion", "classifier"),
    "feature_set",
)
_PER_CLASS_COLUMNS = (
    *("dataset", "features", "fusion", "class"),
    *("value", "ci_low", "ci_high", "num_videos"),
)
_CONFUSION_COLUMNS = ("dataset", "features", "fusion", "true", "predicted", "count", "num_videos")
_MAP_COLUMNS = ("panel", "id", "label", "x", "y")
_SEPARATION_COLUMNS = ("panel", "metric", "value", "ci_low", "ci_high")
_FREQUENCY_COLUMNS = ("dataset", "class", "count", "subset")
_QUARANTINE_KEY = ("dataset", "features", "id")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run says of itself."""

    title: str = ""
    """Title of the page."""
    lines: tuple[str, ...] = ()
    """Sentences under it."""


@dataclass(frozen=True, kw_only=True)
class Map:
    """Coordinates of videos in the plane, and how well classes stay together in it."""

    name: str
    """tsne or pca."""
    points: "pd.DataFrame"
    """panel (a feature set), id, label, x, y."""
    separation: "pd.DataFrame"
    """panel, metric, value, ci_low, ci_high; may have no rows."""


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """All that a results folder holds beside result rows."""

    summary: Summary = Summary()
    """What the run says of itself."""
    quarantine: tuple[dict, ...] = ()
    """Videos that could not be read, with the reason."""
    timings: tuple[dict, ...] = ()
    """Steps with their seconds."""
    costs: tuple[dict, ...] = ()
    """GFLOPs, views a second and parameters of feature sets."""
    maps: tuple[Map, ...] = ()
    """t-SNE and PCA coordinates."""
    frequencies: "pd.DataFrame" = field(default_factory=lambda: _empty(_FREQUENCY_COLUMNS))
    """dataset, class, count, subset."""
    per_class: tuple[dict, ...] = ()
    """Recall of every class: dataset, features, fusion, class, value, ci_low, ci_high, num_videos,
    and the setting of the score."""
    confusion: tuple[dict, ...] = ()
    """What was taken for what, worst first: dataset, features, fusion, true, predicted, count,
    num_videos, and the setting of the score."""


def read_artefacts(folder: str | Path) -> Artefacts:
    """Read what there is. Raises DamagedError naming a file that is not what it should be."""
    folder = Path(folder)
    inner = folder / FOLDER
    return Artefacts(
        summary=_read_summary(inner / "summary.json"),
        quarantine=_read_quarantine(inner),
        timings=_read_timings(folder),
        costs=_read_records(inner / "costs.json", ("features",), _COSTS),
        maps=tuple(_read_maps(inner)),
        frequencies=_read_frames(inner / CLASS_FREQUENCIES, _FREQUENCY_COLUMNS, ("count",)),
        per_class=_records(_read_frames(inner / PER_CLASS, _PER_CLASS_COLUMNS, ("num_videos",))),
        confusion=_worst_first(_read_frames(inner / CONFUSION, _CONFUSION_COLUMNS, ("count",))),
    )


def _read_quarantine(folder: Path) -> tuple[dict, ...]:
    """Every record once: what an evaluation wrote of a feature set may be in both places."""
    paths = [folder / f"{QUARANTINE}.json", *sorted((folder / QUARANTINE).glob("*.json"))]
    found = [record for path in paths for record in _read_records(path, ("id", "reason"))]
    keys = [json.dumps([record.get(name) for name in _QUARANTINE_KEY]) for record in found]
    return tuple(dict(zip(keys, found, strict=True)).values())


def _read_frames(folder: Path, needed: Sequence[str], numbers: Sequence[str]) -> "pd.DataFrame":
    """All tables of a folder as one, and one of the folder's name beside it."""
    import pandas as pd

    paths = [folder.with_suffix(".csv"), *sorted(folder.glob("*.csv"))]
    frames = [_read_frame(path, needed, numbers) for path in paths if path.is_file()]
    return pd.concat(frames, ignore_index=True) if frames else _empty(needed)


def _worst_first(confusion: "pd.DataFrame") -> tuple[dict, ...]:
    return _records(confusion.sort_values("count", ascending=False, kind="stable"))


def _records(frame: "pd.DataFrame") -> tuple[dict, ...]:
    """One record a row; what is missing is None."""
    return tuple(frame.astype(object).where(frame.notna(), None).to_dict("records"))


def _read_summary(path: Path) -> Summary:
    value = _read_json(path, {})
    title, lines = (value.get("title", ""), value.get("lines", [])) if _is_dict(value) else (0, 0)
    if not isinstance(title, str) or not isinstance(lines, list):
        raise _damaged(path, 'must be {"title": text, "lines": [text, ...]}')
    return Summary(title=title, lines=tuple(map(str, lines)))


def _read_timings(folder: Path) -> tuple[dict, ...]:
    path = next((folder / name for name in TIMING_FILES if (folder / name).is_file()), None)
    if path is None:
        return ()
    if path.suffix == ".csv":
        return tuple(_read_frame(path, ("step", "seconds"), ("seconds",)).to_dict("records"))
    return _read_records(path, ("step", "seconds"), ("seconds",))


def _read_records(path: Path, needed: Sequence[str], numbers: Sequence[str] = ()) -> tuple:
    value = _read_json(path, [])
    records = value if isinstance(value, list) else [value]
    if not all(_is_dict(record) and set(needed) <= set(record) for record in records):
        raise _damaged(path, f"must be a list of objects with {', '.join(needed)}")
    for record in records:
        for name in numbers:
            if not isinstance(record.get(name, 0), int | float):
                raise _damaged(path, f"has a {name} that is no number: {record[name]!r}")
    return tuple(records)


def _read_maps(folder: Path) -> list[Map]:
    found = [name for name in MAPS if (folder / f"{name}.csv").is_file()]
    return [
        Map(
            name=name,
            points=_read_frame(folder / f"{name}.csv", _MAP_COLUMNS, ("x", "y")),
            separation=_read_frame(
                folder / f"{name}_separation.csv",
                _SEPARATION_COLUMNS,
                ("value", "ci_low", "ci_high"),
            ),
        )
        for name in found
    ]


def _read_frame(path: Path, needed: Sequence[str], numbers: Sequence[str] = ()) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        return _empty(needed)
    try:
        # A class may be called "NA" or "001": columns of names stay as they are written.
        names = dict.fromkeys(_NAME_COLUMNS, str)
        frame = pd.read_csv(path, dtype=names, keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeDecodeError) as error:
        raise _damaged(path, f"is not a CSV file ({error})") from error
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise _damaged(path, f"has no column {', '.join(missing)}")
    for name in names.keys() & set(frame.columns):
        frame[name] = frame[name].map(plain_cell)
    for name in numbers:
        # A table without rows has no types.
        if len(frame) and not pd.api.types.is_numeric_dtype(frame[name]):
            raise _damaged(path, f"has values in column {name} that are no numbers")
    return frame


def _read_json(path: Path, default: object) -> object:
    if not path.is_file():
        return default
    try:
        return read_json(path)
    except ValueError as error:
        raise _damaged(path, f"is not JSON ({error})") from error


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)


def _empty(columns: Sequence[str]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({name: [] for name in columns})


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} {what}; mend the file or remove it")
