"""A class for each kind of CSV files in `artefacts/`: maps, and tables of classes.

Tables of classes of a score begin with its setting, so that those of many scores can lie in one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.results.csv_tables import read_table, read_tables, write_table
from harness.results.whole_files import FOLDER

if TYPE_CHECKING:
    import pandas as pd

_MAPS = ("tsne", "pca")
_POINTS = ("panel", "id", "label", "x", "y")
_SEPARATION = ("panel", "metric", "value", "ci_low", "ci_high")
_PER_CLASS, _CONFUSION, _FREQUENCIES = "per_class", "confusion", "class_frequencies"
_RECALL_COLUMNS = (
    *("dataset", "features", "fusion", "class"),
    *("value", "ci_low", "ci_high", "num_videos"),
)
_MISTAKE_COLUMNS = ("dataset", "features", "fusion", "true", "predicted", "count", "num_videos")
_FREQUENCY_COLUMNS = ("dataset", "class", "count", "subset")


@dataclass(frozen=True, kw_only=True)
class Map:
    """Coordinates of videos in the plane, and how well classes stay together in it."""

    name: str
    """tsne or pca."""
    points: "pd.DataFrame"
    """panel (a feature set), id, label, x, y."""
    separation: "pd.DataFrame"
    """panel, metric, value, ci_low, ci_high; may have no rows."""

    @classmethod
    def read_all(cls, results: Path) -> tuple[Self, ...]:
        """All maps of a results folder. Raises DamagedError."""
        paths = [results / FOLDER / f"{name}.csv" for name in _MAPS]
        return tuple(
            cls(
                name=path.stem,
                points=read_table(path, _POINTS, ("x", "y")),
                separation=read_table(_beside(path), _SEPARATION, _SEPARATION[2:]),
            )
            for path in paths
            if path.is_file()
        )

    def write(self, results: Path) -> None:
        """Write it into a results folder, in place of the one of the same name."""
        path = results / FOLDER / f"{self.name}.csv"
        write_table(path, self.points)
        write_table(_beside(path), self.separation)


@dataclass(frozen=True, kw_only=True)
class ClassTables:
    """Which classes are right, and which are taken for which: of one score, or of all of a results
    folder."""

    name: str = ""
    """Made of the setting: equal settings give equal names, others others."""
    per_class: "pd.DataFrame"
    """The setting, features, class, num_videos, value (recall), ci_low, ci_high, precision,
    most_confused_with."""
    confusion: "pd.DataFrame"
    """The setting, features, true, predicted, count, num_videos (of the true class), share; the
    most frequent first."""

    @classmethod
    def read_all(cls, results: Path) -> Self:
        """The tables of all scores as one, without a name. Raises DamagedError."""
        inner = results / FOLDER
        confusion = read_tables(inner / _CONFUSION, _MISTAKE_COLUMNS, ("count",))
        return cls(
            per_class=read_tables(inner / _PER_CLASS, _RECALL_COLUMNS, ("num_videos",)),
            confusion=confusion.sort_values("count", ascending=False, kind="stable"),
        )

    def write(self, results: Path) -> None:
        """Write both into a results folder, in place of those of the same setting."""
        write_table(results / FOLDER / _PER_CLASS / f"{self.name}.csv", self.per_class)
        write_table(results / FOLDER / _CONFUSION / f"{self.name}.csv", self.confusion)


@dataclass(frozen=True, kw_only=True)
class Frequencies:
    """How many videos each class of a dataset has."""

    dataset: str = ""
    """Empty for those of all datasets."""
    table: "pd.DataFrame"
    """dataset, class, count, subset (base or novel)."""

    @classmethod
    def read_all(cls, results: Path) -> Self:
        """The tables of all datasets as one. Raises DamagedError."""
        folder = results / FOLDER / _FREQUENCIES
        return cls(table=read_tables(folder, _FREQUENCY_COLUMNS, ("count",)))

    def write(self, results: Path) -> None:
        """Write it into a results folder, in place of that of the same dataset."""
        write_table(results / FOLDER / _FREQUENCIES / f"{self.dataset}.csv", self.table)


def _beside(path: Path) -> Path:
    """Where the measures of a map stand."""
    return path.with_name(f"{path.stem}_separation.csv")
