"""`vifi relocate S`: say where a dataset's videos are now."""

import logging
from dataclasses import dataclass
from pathlib import Path

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import first_few
from vifistore.scanning.relocate import Relocation, find_videos, missing_before, relocate
from vifistore.sources.roots import root_of
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.problems import extract_command

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class RelocateArguments(PrintArguments, StoreArguments):
    """Say where a dataset's videos are now; they are found by their names and sizes.

    Ids stay as they are, and nothing is encoded.
    """

    dataset: str
    """Dataset whose videos have moved."""
    root: Path
    """Folder that holds them now, at whatever depth, or its URL."""
    dry_run: bool = False
    """Say what is found, and change nothing."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("relocate", RelocateArguments, arguments)
    store = open_store(wanted.store, mode="r" if wanted.dry_run else "a")
    dataset = store.dataset(wanted.dataset)
    found = find_videos(dataset, root_of(wanted.root))
    if not wanted.dry_run:
        relocate(dataset, found)
    again = [_retry_command(dataset.features(name)) for name in missing_before(dataset)]
    if wanted.json:
        facts = {
            name: value
            for name, value in vars(found).items()
            if name not in ("root", "paths", "old_paths")
        }
        print_json({"root": str(found.root), "retry": again, **facts})
        return 0
    _tell(found, wanted)
    for command in again:
        logger.info("videos that were quarantined as missing are tried again with: %s", command)
    return 0


def _tell(found: Relocation, wanted: RelocateArguments) -> None:
    would = "would be" if wanted.dry_run else "are now"
    say(
        f"{wanted.dataset}: {found.found} of {len(found.paths)} videos {would} found below "
        f"{found.root}, {found.moved} of them at another path than before"
    )
    if found.lost:
        resized = f", {len(found.resized)} with another size" if found.resized else ""
        logger.warning(
            "%d videos are not found (%s%s)", len(found.lost), first_few(found.lost, 3), resized
        )


def _retry_command(features: Features) -> str:
    """The command line that made a feature set, with --retry."""
    name = ("--name", features.names[0]) if features.names else ()
    return extract_command(features.dataset, features.recipe, *name, "--retry")
