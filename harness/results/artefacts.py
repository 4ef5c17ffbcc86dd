"""All that a results folder holds beside result rows."""

from pathlib import Path

from harness.results.csv_artefacts import ClassTables, Frequencies, Map
from harness.results.json_artefacts import (
    AttentionFigure,
    Cost,
    GalleryQuery,
    Origin,
    Quarantined,
    StudyText,
    Summary,
    Throughput,
    Timing,
    read_commands,
)
from harness.results.run_histories import RunHistory


class Artefacts:
    """What there is; all of it is optional."""

    def __init__(self, results: str | Path) -> None:
        """Read it. Raises DamagedError naming a file that is not what it should be."""
        results = Path(results)
        self.summary = Summary.read(results)
        self.study = StudyText.read(results)
        self.timings = Timing.read_all(results)
        self.costs = Cost.read_all(results)
        self.throughput = Throughput.read_all(results)
        self.runs = RunHistory.read_all(results)
        self.commands = read_commands(results)
        self.origin = Origin.read(results)
        self.quarantine = Quarantined.read_all(results)
        self.gallery = GalleryQuery.read_all(results)
        self.attention = AttentionFigure.read_all(results)
        self.maps = Map.read_all(results)
        self.classes = ClassTables.read_all(results)
        self.frequencies = Frequencies.read_all(results).table
