"""`vifi scan S SOURCE`: add the videos of a folder, a list or a dataset's own files to a store."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from vifi.command_line.command_log import remember_command
from vifi.command_line.console import is_given, parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments
from vifistore.errors import StoreError, UsageError, first_few, short
from vifistore.pointers import HEAD_BYTES, POINTER_BYTES, pointer_told
from vifistore.progress import Progress
from vifistore.scanning.growing import StoredFiles, cut_new
from vifistore.scanning.overwritten import overwritten_told
from vifistore.scanning.scan import (
    add_new,
    as_in_store,
    find_dataset,
    require_addable,
)
from vifistore.scanning.stored_listing import (
    lists_of_classes,
    split_members,
    stored_listing,
    with_stored,
)
from vifistore.sources.footage import Footage, opened
from vifistore.store.dataset import Dataset
from vifistore.store.removing.removable import trained_on_split
from vifistore.store.schema import check_name
from vifistore.store.store import create_store, find_store
from vifistore.videos.checks import Doubt, check_listing, members, overlaps, refuse
from vifistore.videos.cutting import Cut
from vifistore.videos.listing import read_source
from vifistore.videos.made_splits import SplitRequest, with_made_splits
from vifistore.videos.probe import Probe, probe_all
from vifistore.videos.records import Listing
from vifistore.videos.stretches import Windows

logger = logging.getLogger("vifi")

_SHOWN = 10
_LONG_PATH = 200
_HOW_READ = ("root", "split", "labels", "names", "map_prefix", "follow_links", "split_by", "whole")


@dataclass(frozen=True, kw_only=True)
class ScanArguments(PrintArguments):
    """Add the videos of a folder, a CSV, a list of "path label" lines or a dataset's own files."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL; made if there is none."""
    source: tyro.conf.Positional[Path | None] = None
    """A folder, or its URL at s3:// or gs:// (the label is the name of the folder that holds a
    file); tar shards of videos, as '{0000..0099}.tar'; a table with the columns path, and where
    wanted label, split, id (a name of one's own for the video), caption, start and end (seconds,
    of a part of the file), a row per video, split and caption; a list of "path label" lines; JSON
    that labels videos; or a dataset's own files. Labels are class names, or numbers into a class
    file. None where splits are made of those that the dataset has."""
    dataset: str
    """Name of the dataset."""
    split: str | None = None
    """Name of the split that these videos form, or which split of the source to take."""
    split_by: str = ""
    """Regular expression that parts the videos into splits by their paths: the split's name is its
    first group, '^(train|val)/', or the named group that matches, '(?P<test>_g0[1-7]_)|...'."""
    root: Path | None = None
    """Folder that listed paths start from, or its URL: s3://, gs://, https://. Without it, the
    folder of the list, and in it only what the list names."""
    map_prefix: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """For lists of another machine, OLD=NEW: what listed paths begin with, and the folder that it
    is here, below --root or absolute; repeat for several."""
    follow_links: bool = False
    """Follow symbolic links of folders and files, also out of the root."""
    labels: Path | None = None
    """Class file for a list whose labels are numbers: `id,name` rows with any header or none,
    `id name` lines, one name a line, or JSON."""
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
    whole: bool = False
    """Take videos whole where a list gives times of parts of them."""
    window: float | None = None
    """Cut videos that are longer into stretches of so many seconds, each a row of its own with the
    label, captions and splits of its video. The last one is shorter; what would be below half a
    second (and a tenth of the window) stays with the one before."""
    stride: float | None = None
    """Seconds from the start of a stretch to that of the next, by default the --window: below it
    they overlap, above it something is left out between them."""
    append: bool = False
    """Add to a dataset that exists what it does not have; nothing else is opened."""
    replace: bool = False
    """Write splits anew that the dataset has with other videos or labels; needs --append."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("scan", ScanArguments, arguments)
    _require_draws(wanted, arguments)
    windows = _windows(wanted)
    store = find_store(wanted.store, mode="a")
    check_name("dataset", wanted.dataset)
    known = find_dataset(store, wanted.dataset)
    stored = StoredFiles(known)
    source, listing = _listings(wanted, known, stored)
    require_addable(known, listing, append=wanted.append or wanted.source is None)
    # What is made is a part of what is listed or stored: nothing else can be wrong with it.
    _warn(check_listing(source, split_members(known)), listing)
    for line in overwritten_told(stored, listing):
        logger.warning("%s", line)
    _tell_lists(lists_of_classes(known, listing))
    probed = _probed(listing, stored.new_files(listing))
    cut = cut_new(stored, listing, probed, windows)
    _tell_cut(cut)
    # Listed stretches may turn out to be one clip; splits that are made are parts of those listed.
    listed = {name: ids for name, ids in members(cut.listing).items() if name in source.splits}
    refuse(overlaps(listed, split_members(known)))
    # The store is made only now, so that a wrong call leaves none behind.
    dataset = known or create_store(wanted.store).new_dataset(wanted.dataset)
    report = add_new(dataset, cut.listing, stored, probed, replace_splits=wanted.replace)
    remember_command(dataset.store)
    if report.grown:
        told = "have more videos than before, when fewer were scored"
        logger.info("splits %s %s", ", ".join(report.grown), told)
    _warn_of_trained(dataset, [*report.replaced, *report.grown])
    if wanted.json:
        print_json(
            {**vars(report), "missing": listing.missing, "notes": [*listing.notes, *cut.notes]}
        )
    else:
        splits = f", splits {', '.join(report.splits)}" if report.splits else ""
        say(
            f"{wanted.dataset}: {report.added} videos added, {report.videos} in all, "
            f"{len(listing.class_names)} classes{splits}"
        )
    return 0


def _require_draws(wanted: ScanArguments, arguments: Sequence[str]) -> None:
    """Raise UsageError for flags of draws where nothing is drawn."""
    idle = [flag for flag in ("--shots", "--seeds", "--nested") if is_given(flag, arguments)]
    if idle and not wanted.few_shot:
        raise UsageError(
            f"{', '.join(idle)}: nothing is drawn without --few-shot; name with it the training "
            f"split to draw from, or leave {'them' if len(idle) > 1 else 'it'} out"
        )


def _windows(wanted: ScanArguments) -> Windows | None:
    """How videos are cut, if they are. Raises UsageError for lengths that are none."""
    if wanted.window is None:
        if wanted.stride is not None:
            raise UsageError("--stride says how far stretches lie apart; give their --window too")
        return None
    if wanted.source is None:
        raise UsageError("--window cuts the videos of a SOURCE; name it, or leave --window out")
    stride = wanted.window if wanted.stride is None else wanted.stride
    return Windows(seconds=wanted.window, stride_seconds=stride)


def _probed(listing: Listing, rows: Sequence[int]) -> dict[str, Probe]:
    """The headers of the files of some rows, by path. Raises StoreError for a silent server."""
    probes = probe_all(listing.files(rows))
    probed = list(Progress(probes, total=len(rows), unit="video", desc="scan"))
    _warn_of_silent(listing, rows, probed)
    _warn_of_pointers(listing, rows, probed)
    return dict(zip((listing.paths[row] for row in rows), probed, strict=True))


def _tell_cut(cut: Cut) -> None:
    for line in cut.notes:
        logger.info("%s", line)
    for line in cut.warnings:
        logger.warning("%s", line)


def _listings(
    wanted: ScanArguments, dataset: Dataset | None, files: StoredFiles
) -> tuple[Listing, Listing]:
    """What the source lists; and the same with splits made of it and of what the dataset has."""
    made = {field: getattr(wanted, field) for field in SplitRequest.__dataclass_fields__}
    makes_splits = bool(wanted.halves or wanted.few_shot)
    if wanted.source is not None:
        given = {name: getattr(wanted, name) for name in _HOW_READ}
        read = read_source(wanted.source, **given, scanned=files.below(wanted.root))
        listing = files.joined(as_in_store(dataset, read))
    elif dataset is None or not makes_splits:
        raise UsageError(
            "SOURCE is missing: name a folder of videos, a table or a list; without it, --halves "
            "and --few-shot make splits of those that a dataset has"
        )
    else:
        listing = stored_listing(dataset)
    if not makes_splits:
        return listing, listing
    every, stored = with_stored(dataset, listing)
    return listing, with_made_splits(every, SplitRequest(**made), stored)


def _warn_of_pointers(listing: Listing, rows: Sequence[int], probes: Sequence[Probe]) -> None:
    """Say which files only stand for videos that were not fetched."""
    found = {
        listing.paths[row]: told
        for row, probe in zip(rows, probes, strict=True)
        if 0 < probe.size_bytes < POINTER_BYTES
        and (told := pointer_told(_first_bytes(listing.files([row])[0])))
    }
    if found:
        counted = f"{len(found):,} of {len(rows):,} videos were not fetched"
        path, told = next(iter(found.items()))
        logger.warning("%s (%s): %s", counted, short(path), told)


def _first_bytes(footage: Footage) -> bytes:
    try:
        with footage.at_hand(POINTER_BYTES) as readable, opened(readable) as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


def _warn_of_silent(listing: Listing, rows: Sequence[int], probes: Sequence[Probe]) -> None:
    """Say which videos a server did not give. Raises StoreError where it gave none."""
    if isinstance(listing.root, Path):
        return
    silent = [row for row, probe in zip(rows, probes, strict=True) if probe == Probe()]
    if not silent:
        return
    told = f"{len(silent):,} of {len(rows):,} videos could not be read from {listing.root}"
    first = f"(first: {short(listing.paths[silent[0]])})"
    if len(silent) == len(rows):
        raise StoreError(f"{told} {first}; check the network and the credentials, and scan again")
    logger.warning("%s %s; they are tried again when they are extracted", told, first)


def _warn_of_trained(dataset: Dataset, replaced: Sequence[str]) -> None:
    """Say which checkpoints were trained on a split as it was before."""
    for name in replaced:
        if trained := trained_on_split(dataset, name):
            logger.warning(
                "split %s has other videos or labels than when these were trained on it, whose "
                "rows name it: %s; train them again, or call the new split by another name",
                name,
                first_few(trained),
            )


def _tell_lists(lists: Mapping[str, Sequence[str]]) -> None:
    """Say so where splits of one dataset are scored over different classes."""
    if len(set(map(tuple, lists.values()))) > 1:
        told = ", ".join(f"{name} {len(names)}" for name, names in sorted(lists.items()))
        logger.info("splits have lists of classes of their own: %s", short(told, 300))


def _warn(problems: Sequence[Doubt], listing: Listing) -> None:
    """Say what was chosen and what may be wrong. Raises UsageError for what must be refused."""
    refuse(problems)
    for line in [*listing.notes, *problems]:
        logger.info("%s", line)
    if listing.missing:
        shown = first_few(map(os.fspath, listing.missing), _SHOWN, _LONG_PATH)
        logger.warning("%d listed videos are missing: %s", len(listing.missing), shown)
