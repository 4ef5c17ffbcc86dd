"""`vifi import S PATH`: feature sets from files of other tools and of vifi export."""

import logging
from dataclasses import asdict, dataclass, field

import tyro

from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments
from vifistore.errors import UsageError
from vifistore.scanning.bring import BroughtReport, TableSettings, bring
from vifistore.store import open_store
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.importing.writing import ImportReport

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class ImportArguments(PrintArguments):
    """Bring embeddings made elsewhere, or exported, into a store; they are checked first."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL; made if it is new."""
    path: tyro.conf.Positional[str] = ""
    """File or folder to import; zarr: also the URL of a store."""
    settings: ImportSettings
    table: TableSettings = field(default_factory=TableSettings)


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError where nothing is to be imported, and what the importers raise.
    """
    wanted = parse("import", ImportArguments, arguments)
    if wanted.table.table:
        return _with_table(wanted)
    if not wanted.path:
        raise UsageError("there is nothing to import; give PATH, the embeddings, or --table FILE")
    report = import_features(wanted.store, wanted.path, wanted.settings)
    remember_command(open_store(wanted.store))
    if wanted.json:
        print_json(asdict(report))
    else:
        _tell(report)
    return 3 if report.quarantined else 0


def _with_table(wanted: ImportArguments) -> int:
    brought = bring(wanted.store, wanted.path, wanted.settings, wanted.table)
    remember_command(open_store(wanted.store))
    for line in brought.notes:
        logger.info("%s", line)
    report = brought.features
    if wanted.json:
        print_json(_document(brought))
    else:
        splits = f", splits {', '.join(brought.dataset.splits)}" if brought.dataset.splits else ""
        say(f"{wanted.settings.dataset}: {brought.dataset.videos} videos{splits}")
        if report:
            _tell(report)
    return 3 if report and report.quarantined else 0


def _document(brought: BroughtReport) -> dict:
    features = asdict(brought.features) if brought.features else {}
    return {**features, "dataset": asdict(brought.dataset), "notes": [*map(str, brought.notes)]}


def _tell(report: ImportReport) -> None:
    state = "sealed" if report.sealed else "not complete"
    say(
        f"{report.name} ({report.id}): {report.done} videos, {report.quarantined} "
        f"quarantined; {state}"
    )
