"""`vifi scan S SOURCE`: add the videos of a folder, a list or a dataset's own files to a store."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import tyro
from tqdm import tqdm

from vifi.console import parse, print_json, say
from vifistore.extract.scan import add_listing, new_rows
from vifistore.store import open_store
from vifistore.store.store import create_store
from vifistore.videos.checks import check_listing, refuse
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe_all
from vifistore.videos.records import Listing

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class ScanArguments:
    """Add the videos of a folder, a CSV, a list of "path label" lines or a dataset's own files."""

    store: tyro.conf.Positional[Path]
    """Path of the store; made if there is none."""
    source: tyro.conf.Positional[Path]
    """A folder (the label is the name of the folder that holds a file), a CSV with a path column,
    a list of "path label" lines, or a dataset's own files."""
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
    append: bool = False
    """Add to a dataset that exists."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("scan", ScanArguments, arguments)
    listing = read_source(
        wanted.source,
        root=wanted.root,
        split=wanted.split,
        labels=wanted.labels,
        names=wanted.names,
    )
    store = open_store(wanted.store, mode="a") if wanted.store.exists() else None
    rows = new_rows(store, wanted.dataset, listing, append=wanted.append)
    _warn(listing)
    probes = probe_all(listing.root / listing.paths[row] for row in rows)
    bar = tqdm(probes, total=len(rows), unit="video", desc="scan", disable=None)
    probed = list(bar)
    # The store is made only now, so that a wrong call leaves none behind.
    report = add_listing(store or create_store(wanted.store), wanted.dataset, listing, rows, probed)
    if wanted.json:
        print_json({**vars(report), "missing": listing.missing, "notes": listing.notes})
    else:
        splits = f", splits {', '.join(report.splits)}" if report.splits else ""
        say(
            f"{wanted.dataset}: {report.added} videos added, {report.videos} in all, "
            f"{len(listing.class_names)} classes{splits}"
        )
    return 0


def _warn(listing: Listing) -> None:
    """Say what was chosen and what may be wrong. Raises UsageError for what must be refused."""
    logger = logging.getLogger("vifi")
    problems = check_listing(listing)
    refuse(problems)
    for line in [*listing.notes, *problems]:
        logger.info("%s", line)
    if listing.missing:
        shown = ", ".join(os.fspath(path) for path in listing.missing[:_SHOWN])
        more = f" and {len(listing.missing) - _SHOWN} more" if len(listing.missing) > _SHOWN else ""
        logger.warning("%d listed videos are missing: %s%s", len(listing.missing), shown, more)
