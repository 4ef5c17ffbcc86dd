"""`vifi report DIR`: tables, figures and a page from a results folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from vifi.command_line.command_log import commands_of
from vifi.command_line.console import parse, say
from vifi.command_line.table_flags import TableFlags, wanted_tables
from vifistore.errors import UsageError, short

if TYPE_CHECKING:
    from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class ReportArguments(TableFlags):
    """Draw tables, figures and a page that opens from disk.

    What an earlier report drew and this one does not is removed.
    """

    results: tyro.conf.Positional[Path]
    """Results folder, as written by --results of evaluate, ablate, tsne, attention and search."""
    store: str = ""
    """Store, or its URL, to take checkpoints, recipes, quarantined videos, the commands that filled
    it, and pictures of the map from."""
    runs: tuple[Path, ...] = ()
    """Folders of trainings whose curves the page shows from now on."""
    score: str = ""
    """DATASET/SPLIT of the store: every checkpoint of these runs that was extracted is scored on it
    by class names, for the curve of top-1 against steps."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError where there is no results folder.
    """
    wanted = parse("report", ReportArguments, arguments, repeatable=("--rename",))
    shown = wanted_tables(wanted)
    if wanted.score and not (wanted.store and wanted.runs):
        raise UsageError("--score scores checkpoints of --runs from the --store; give both")
    if not wanted.results.is_dir():
        raise UsageError(
            f"there is no results folder at {wanted.results}; write one with "
            "vifi evaluate ... --results DIR"
        )

    from reports.report import make_report

    if wanted.store:
        from vifistore.store import open_store

        _add_from_store(open_store(wanted.store), wanted.results)
    if wanted.runs:
        _add_runs(wanted)

    files = make_report(wanted.results, shown)
    say(f"{len(files)} files written; open {files[-1]}")
    return 0


def _add_runs(wanted: ReportArguments) -> None:
    from vifi.scoring.run_logs import add_runs
    from vifistore.store import open_store

    dataset, split = None, ""
    if wanted.score:
        name, slash, split = wanted.score.partition("/")
        if not slash or not split:
            told = f"--score {short(wanted.score)} is no DATASET/SPLIT; give both names"
            raise UsageError(told)
        dataset = open_store(wanted.store).dataset(name)
        dataset.split(split)
    add_runs(wanted.results, wanted.runs, dataset, split)


def _add_from_store(store: "Store", results: Path) -> None:
    """Write what only the store knows where the page finds it."""
    from pandas import Series, to_numeric

    from harness.results.csv_artefacts import Map
    from harness.results.json_artefacts import Quarantined, add_commands
    from vifi.scoring.store_facts import quarantined_videos, write_provenance, write_throughput
    from vifi.searching.thumbnails_of_hits import write_thumbnails

    add_commands(results, commands_of(store), first=True)
    write_provenance(store, results)
    write_throughput(store, results)
    Quarantined.write_all(results, quarantined_videos(store))
    for points in (drawn.points for drawn in Map.read_all(results)):
        if {"dataset", "row"} <= set(points.columns):
            # A folder may hold maps of several stores, and other rows than this one has.
            rows = Series(to_numeric(points["row"], errors="coerce"))
            for dataset in map(store.dataset, store.datasets()):
                is_ours = points["dataset"] == dataset.name
                is_there = rows.between(0, dataset.num_videos - 1)
                write_thumbnails(dataset, results, rows.loc[is_ours & is_there].unique())
