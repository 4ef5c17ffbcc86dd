"""All that a results folder holds beside result rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.results.class_results import ClassTables, Frequencies
from harness.results.coordinates import Map
from harness.results.gallery import AttentionFigure, GalleryQuery
from harness.results.origin import Origin
from harness.results.quarantine import Quarantined
from harness.results.run_facts import Cost, Summary, Throughput, Timing, read_commands

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Artefacts:
    """What there is; all of it is optional."""

    summary: Summary
    """What the run says of itself."""
    timings: tuple[Timing, ...]
    """Its steps with their seconds."""
    costs: tuple[Cost, ...]
    """What a view costs with each model."""
    throughput: tuple[Throughput, ...]
    """How fast videos were extracted."""
    commands: tuple[str, ...]
    """Commands that made what is no result row."""
    origin: Origin
    """What the numbers were made from."""
    quarantine: tuple[Quarantined, ...]
    """Videos that could not be read."""
    gallery: tuple[GalleryQuery, ...]
    """Queries with their hits."""
    attention: tuple[AttentionFigure, ...]
    """What models look at."""
    maps: tuple[Map, ...]
    """t-SNE and PCA coordinates."""
    classes: ClassTables
    """Which classes are right, and which are taken for which, worst first."""
    frequencies: "pd.DataFrame"
    """dataset, class, count, subset."""

    @classmethod
    def read(cls, results: str | Path) -> Self:
        """Of a results folder. Raises DamagedError naming a file that is not what it should be."""
        results = Path(results)
        return cls(
            summary=Summary.read(results),
            timings=Timing.read_all(results),
            costs=Cost.read_all(results),
            throughput=Throughput.read_all(results),
            commands=read_commands(results),
            origin=Origin.read(results),
            quarantine=Quarantined.read_all(results),
            gallery=GalleryQuery.read_all(results),
            attention=AttentionFigure.read_all(results),
            maps=Map.read_all(results),
            classes=ClassTables.read_all(results),
            frequencies=Frequencies.read_all(results).table,
        )
