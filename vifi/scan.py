"""`vifi scan S SOURCE`: add the videos of a folder, a list or a dataset's own files to a store."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from vifi.console import parse, print_json, say
from vifistore.errors import UsageError
from vifistore.extract.scan import add_listing, new_rows, stored_listing, with_stored
from vifistore.store.store import Store, create_store, find_store
from vifistore.videos.checks import Problem, check_listing, refuse
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe_all
from vifistore.videos.records import Listing
from vifistore.videos.splits import Wanted, with_made_splits

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class ScanArguments:
    """Add the videos of a folder, a CSV, a list of "path label" lines or a dataset's own files."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL; made if there is none."""
    source: tyro.conf.Positional[Path | None] = None
    """A folder (the label is the name of the folder that holds a file), a CSV with a path column,
    a list of "path label" lines, or a dataset's own files. None where splits are made of those that
    the dataset has."""
    dataset: str
    """Name of the dataset."""
    split: str | None = None
    """Name of the split that these videos form, or which split of the source to take."""
    root: Path | None = None
    """Folder that listed paths start from."""
    labels: Path | None = None
    """Class file for a list whose labels are numbers."""
    names: str = "as-is"
    """Class names: as-is, spaces (no underscores) or words (CamelCase split as well)."""
    halves: tuple[str, ...] = ()
    """Make base_train, base_val and novel_val of a training and a test split, of the source or of
    the dataset: base classes are the half with most training videos."""
    few_shot: str = ""
    """Training split, of the source or the dataset, to draw --shots videos of each class from, as
    splits NAME_few_shot_K."""
    shots: tuple[int, ...] = (2, 4, 8, 16)
    """Videos per class of the draws."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the draws; of several, names end in _sSEED."""
    nested: bool = False
    """Let the draws of a seed contain each other."""
    append: bool = False
    """Add to a dataset that exists."""
    replace: bool = False
    """Write splits anew that the dataset has with other videos or labels; needs --append."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("scan", ScanArguments, arguments)
    store = find_store(wanted.store, mode="a")
    source, listing = _listings(wanted, store)
    append = wanted.append or wanted.source is None
    rows = new_rows(store, wanted.dataset, listing, append=append)
    # What is made is a part of what is listed or stored: nothing else can be wrong with it.
    _warn(check_listing(source, _stored_members(store, wanted.dataset)), listing)
    probes = probe_all(listing.root / listing.paths[row] for row in rows)
    bar = tqdm(probes, total=len(rows), unit="video", desc="scan", disable=None)
    probed = list(bar)
    # The store is made only now, so that a wrong call leaves none behind.
    store = store or create_store(wanted.store)
    report = add_listing(
        store, wanted.dataset, listing, rows, probed, replace_splits=wanted.replace
    )
    if wanted.json:
        print_json({**vars(report), "missing": listing.missing, "notes": listing.notes})
    else:
        splits = f", splits {', '.join(report.splits)}" if report.splits else ""
        say(
            f"{wanted.dataset}: {report.added} videos added, {report.videos} in all, "
            f"{len(listing.class_names)} classes{splits}"
        )
    return 0


def _listings(wanted: ScanArguments, store: Store | None) -> tuple[Listing, Listing]:
    """What the source lists; and the same with splits made of it and of what the dataset has."""
    made = {field: getattr(wanted, field) for field in Wanted.__dataclass_fields__}
    makes_splits = bool(wanted.halves or wanted.few_shot)
    if wanted.source is not None:
        given = {name: getattr(wanted, name) for name in ("root", "split", "labels", "names")}
        listing = read_source(wanted.source, **given)
    elif store is None or not makes_splits:
        raise UsageError(
            "SOURCE is missing: name a folder of videos, a table or a list; without it, --halves "
            "and --few-shot make splits of those that a dataset has"
        )
    else:
        listing = stored_listing(store, wanted.dataset)
    if not makes_splits:
        return listing, listing
    every, stored = with_stored(store, wanted.dataset, listing)
    return listing, with_made_splits(every, Wanted(**made), stored)


def _stored_members(store: Store | None, dataset: str) -> dict[str, set[str]]:
    """Ids of the videos of each split that the dataset has."""
    if store is None or dataset not in store.datasets():
        return {}
    ids = store.videos(dataset)["id"].to_numpy()
    return {name: set(ids[store.split(dataset, name).rows]) for name in store.splits(dataset)}


def _warn(problems: Sequence[Problem], listing: Listing) -> None:
    """Say what was chosen and what may be wrong. Raises UsageError for what must be refused."""
    logger = logging.getLogger("vifi")
    refuse(problems)
    for line in [*listing.notes, *problems]:
        logger.info("%s", line)
    if listing.missing:
        shown = ", ".join(os.fspath(path) for path in listing.missing[:_SHOWN])
        more = f" and {len(listing.missing) - _SHOWN} more" if len(listing.missing) > _SHOWN else ""
        logger.warning("%d listed videos are missing: %s%s", len(listing.missing), shown, more)
