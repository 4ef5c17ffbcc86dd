"""`artefacts/tsne.csv` and `pca.csv`: videos in the plane, and how well their classes separate."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.results.csv_tables import read_table, write_table
from harness.results.whole_files import FOLDER

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("tsne", "pca")
_POINTS = ("panel", "id", "label", "x", "y")
_SEPARATION = ("panel", "metric", "value", "ci_low", "ci_high")


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
        """Those that a results folder has. Raises DamagedError."""
        inner = results / FOLDER
        return tuple(
            cls(
                name=name,
                points=read_table(inner / f"{name}.csv", _POINTS, ("x", "y")),
                separation=read_table(
                    inner / f"{name}_separation.csv", _SEPARATION, _SEPARATION[2:]
                ),
            )
            for name in _NAMES
            if (inner / f"{name}.csv").is_file()
        )

    def write(self, results: Path) -> None:
        """Into a results folder, in place of the one of the same name."""
        write_table(results / FOLDER / f"{self.name}.csv", self.points)
        write_table(results / FOLDER / f"{self.name}_separation.csv", self.separation)
