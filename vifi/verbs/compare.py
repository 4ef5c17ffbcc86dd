"""`vifi compare A B`: how far two systems, runs or studies lie apart, and in which classes."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from harness.corrections import WORDS
from harness.results import FILE_NAME
from harness.scoring import scored_split
from vifi.command_line.choices import choose_dataset
from vifi.command_line.console import parse, say
from vifi.command_line.printed_tables import TableFormat, print_records
from vifi.scoring.compared_results import (
    Side,
    difference_records,
    one_of,
    pairs_of_folders,
    scored_system,
    systems_of,
    without,
)
from vifi.scoring.run_features import features_of_run
from vifi.scoring.scored_rows import SHOWN
from vifistore.errors import UsageError, short
from vifistore.store import open_store

_LEVEL = 0.05
# Of a table of many settings.
_METRICS = tuple(metric for metric in SHOWN if metric != "top5")
_MOST_CLASSES = 20
_NUMBERS = ("first", "second", "difference", "ci_low", "ci_high", "p_value", "p_adjusted")


@dataclass(frozen=True, kw_only=True)
class CompareArguments:
    """Compare two systems setting by setting, on the same videos, and class by class.

    Intervals are 95% of a paired bootstrap, whole sources drawn where videos share one (files,
    groups of UCF101, films of HMDB51); p-values of classes are exact, and corrected.
    """

    first: tyro.conf.Positional[str]
    """Results folder or folder of a study; with --results a system of it by its name; with --store
    a feature set, or the folder of a training run."""
    second: tyro.conf.Positional[str]
    """What it is compared with, of the same kind."""
    results: Path | None = None
    """Results folder that has both."""
    store: str = ""
    """Store, or its URL, that has both: they are scored by class names for this."""
    dataset: str = ""
    """Dataset of the store; may be left out where there is one."""
    split: tuple[str, ...] = ()
    """Splits to score, with --store."""
    fusion: tuple[str, ...] = ("embedding",)
    """Fusions to score with, with --store."""
    where: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Conditions of what is compared, as those of vifi results: "split=test", "metric=top5".
    Without any a table has the first metrics alone, csv and json have all."""
    correction: str = "holm"
    """Of the p-values of classes for their number: holm (no false finding) or bh (few of them)."""
    classes: bool = False
    """Print every class, and not those alone that differ clearly."""
    format: TableFormat = "table"
    """table for readers; csv or json with all lines for programs."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code. Raises UsageError where nothing can be compared."""
    wanted = parse("compare", CompareArguments, arguments, repeatable=("--where",))
    if wanted.correction not in WORDS:
        raise UsageError(f"--correction {short(wanted.correction)} is neither holm nor bh")
    records = [
        record
        for first, second in _systems(wanted)
        for record in difference_records(first, second, wanted.correction, wanted.where)
    ]
    if wanted.format == "table":
        records = [r for r in records if r["metric"] in _METRICS or wanted.where]
    if not records:
        raise UsageError(
            f"{short(wanted.first)} and {short(wanted.second)} were scored in no setting in "
            "common; score both on one split among the same classes with the same flags, or leave "
            "out a --where"
        )
    if wanted.format == "table":
        _print(records, wanted)
    else:
        print_records(_filled(records), wanted.format)
    return 0


def _systems(wanted: CompareArguments) -> list[tuple[Side, Side]]:
    if wanted.results is not None and wanted.store:
        raise UsageError("--results and --store are both given; leave out one of them")
    if not wanted.store:
        _refuse_of_store(wanted)
    if wanted.results is not None:
        folder = wanted.results
        systems = systems_of(folder)
        return [(one_of(systems, wanted.first, folder), one_of(systems, wanted.second, folder))]
    if wanted.store:
        return [_scored(wanted)]
    for name in (wanted.first, wanted.second):
        if not (Path(name) / FILE_NAME).is_file():
            raise UsageError(
                f"{short(name)} is no results folder; say where it is known: --results DIR for a "
                "system of a results folder, --store S for a feature set or a run"
            )
    return pairs_of_folders(Path(wanted.first), Path(wanted.second))


def _refuse_of_store(wanted: CompareArguments) -> None:
    """Raise UsageError for flags that say what is scored, where numbers that are there are
    compared: all of them would be."""
    usual = CompareArguments(first="", second="")
    for flag in ("dataset", "split", "fusion"):
        if getattr(wanted, flag) != getattr(usual, flag):
            told = f"--{flag} is of feature sets of a --store"
            raise UsageError(f"{told}; of results say it with --where, as in --where {flag}=NAME")


def _scored(wanted: CompareArguments) -> tuple[Side, Side]:
    store = open_store(wanted.store)
    dataset = store.dataset(choose_dataset(store, wanted.dataset))
    splits = [scored_split(dataset, name) for name in wanted.split or ("",)]
    first, second = (
        dataset.features(features_of_run(dataset, Path(name)) or name)
        for name in (wanted.first, wanted.second)
    )
    return scored_system(first, splits, wanted.fusion), scored_system(second, splits, wanted.fusion)


def _filled(records: list[dict]) -> list[dict]:
    """All with the same keys."""
    keys = dict.fromkeys(key for record in records for key in record)
    return [{key: record.get(key) for key in keys} for record in records]


def _print(records: list[dict], wanted: CompareArguments) -> None:
    """In per cent: differences of all videos, then those classes that differ clearly."""
    whole = [_shown(record, "class") for record in without(records, classes=False)]
    print_records(_filled(whole), "table")
    if any(not record["paired"] for record in records):
        say(
            "not paired: of these the answers to the videos are not kept, so that intervals are as "
            "of different videos, and too wide"
        )
    classes = without(records, classes=True)
    if not classes:
        return
    differing = [record for record in classes if record["p_adjusted"] < _LEVEL]
    many = sum(record["paired"] for record in without(records, classes=False))
    of = "" if many == 1 else f" of {many} comparisons, each corrected by itself,"
    how = WORDS[wanted.correction]
    say(f"{len(differing)} of {len(classes)} classes{of} differ, by {how}")
    shown = classes if wanted.classes else differing[:_MOST_CLASSES]
    if shown:
        print_records([_shown(record) for record in shown], "table")
    if len(differing) > len(shown):
        say(f"{len(differing) - len(shown)} more: --classes")


def _shown(record: dict, *left_out: str) -> dict:
    """A line with its shares in per cent, to one decimal; p-values as they are."""
    told = {key: value for key, value in record.items() if key not in left_out}
    for key in _NUMBERS:
        value = told.pop(key, None)
        told[key] = _words(key, value, record["metric"]) if isinstance(value, float) else ""
    told["paired"] = "yes" if told.pop("paired") else "no"
    return told


def _words(key: str, value: float, metric: str) -> str:
    if key.startswith("p_"):
        return f"{value:.2g}" if value >= 0.001 else "<0.001"
    # Ranks count from 1; all else are shares.
    value *= 1 if metric.endswith("_rank") else 100
    return f"{value:+.1f}" if key == "difference" else f"{value:.1f}"
