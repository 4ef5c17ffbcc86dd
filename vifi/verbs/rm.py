"""`vifi rm S WHAT...`: remove datasets, splits, feature sets, texts or names."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from harness.results import ResultRow, read_rows
from harness.results.row_names import row_name
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.errors import UsageError, first_few
from vifistore.store import open_store
from vifistore.store.removing.removable import Removal, removals, remove_all, with_names


@dataclass(frozen=True, kw_only=True)
class RmArguments(PrintArguments, StoreArguments):
    """Remove datasets, splits, feature sets, texts or names from a store; asks first.

    A feature set is kept that a name or a derived set needs, a split that a checkpoint was trained
    on, and with --results whatever result rows need.
    """

    what: tyro.conf.Positional[tuple[str, ...]]
    """DATASET, with all that it has; DATASET/NAME of a split or a feature set, whose name goes with
    it; the id of a text set; or a path such as splits/DATASET/NAME or names/DATASET/NAME."""
    results: tuple[Path, ...] = ()
    """Results folders: what their rows were made from is kept."""
    force: bool = False
    """Remove also what is needed; a feature set goes with all of its names."""
    yes: bool = False
    """Do not ask; for scripts."""
    dry_run: bool = False
    """Say what would go, and how many bytes; remove nothing."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for what is needed, and where nobody can be asked.
    """
    wanted = parse("rm", RmArguments, arguments)
    if not wanted.what:
        raise UsageError("say what to remove: a DATASET, DATASET/NAME, or a path in the store")
    store = open_store(wanted.store, mode="r" if wanted.dry_run else "a")
    rows = [row for folder in wanted.results for row in read_rows(folder)]
    found = [_with_rows(removal, rows) for removal in removals(store, wanted.what)]
    if wanted.force:
        found = with_names(store, found)
    if not wanted.json:
        _list(found)
    goes = not wanted.dry_run and _is_sure(found, wanted)
    if goes:
        remove_all(store, found)
    if wanted.json:
        print_json({"removed": goes, "removals": [vars(removal) for removal in found]})
    elif goes:
        say(f"removed {sum(removal.size_bytes for removal in found)} bytes")
    elif not wanted.dry_run:
        say("nothing is removed")
    return 0


def _with_rows(removal: Removal, rows: Sequence[ResultRow]) -> Removal:
    """The removal with the result rows that were made from it."""
    kind, *parts = removal.where.split("/")
    needing = [row for row in rows if _is_made_from(row, kind, parts)]
    if not needing:
        return removal
    names = first_few(list(dict.fromkeys(f"{r.protocol} of {row_name(r)}" for r in needing)), 2)
    told = f"{len(needing)} result row{'s' * (len(needing) > 1)} ({names})"
    return replace(removal, needed_by=[*removal.needed_by, told])


def _is_made_from(row: ResultRow, kind: str, parts: Sequence[str]) -> bool:
    if kind == "texts":
        return parts[0] in row.text_set.split("+")
    if row.dataset != parts[0] or kind in ("names", "captions"):
        return False
    if len(parts) == 1:
        return True
    if kind == "features":
        return parts[1] in row.feature_set.split("+")
    return parts[1] in (*row.split.split("+"), row.provenance.get("train_split"))


def _list(found: Sequence[Removal]) -> None:
    for removal in found:
        needed = f"; needed by {first_few(removal.needed_by, 3)}" if removal.needed_by else ""
        say(f"{removal.where}: {removal.what}, {removal.size_bytes} bytes{needed}")


def _is_sure(found: Sequence[Removal], wanted: RmArguments) -> bool:
    """Whether to remove it. Raises UsageError for what is needed, and where nobody can be asked."""
    needed = [removal for removal in found if removal.needed_by]
    if needed and not wanted.force:
        raise UsageError(
            f"{needed[0].where} is needed by {first_few(needed[0].needed_by, 3)}; remove that "
            "first, or give --force"
        )
    if wanted.yes:
        return True
    if wanted.json or not sys.stdin.isatty():
        raise UsageError("nobody can be asked here; give --yes to remove it, --dry-run to see it")
    try:
        answer = input(f"remove these, {sum(one.size_bytes for one in found)} bytes? [y/N] ")
    except EOFError:
        # Ctrl-D is an answer, too.
        say("")
        return False
    return answer.strip().lower() in ("y", "yes")
