"""`vifi import S PATH`: feature sets from files of other tools and of vifi export."""

from dataclasses import asdict, dataclass

import tyro

from vifi.console import parse, print_json, say
from vifistore.store.importing.formats import ImportSettings, import_features


@dataclass(frozen=True, kw_only=True)
class ImportArguments:
    """Bring embeddings made elsewhere, or exported, into a store; they are checked first."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL; made if it is new."""
    path: tyro.conf.Positional[str]
    """File or folder to import; zarr: also the URL of a store."""
    settings: ImportSettings
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("import", ImportArguments, arguments)
    report = import_features(wanted.store, wanted.path, wanted.settings)
    if wanted.json:
        print_json(asdict(report))
    else:
        state = "sealed" if report.sealed else "not complete"
        say(
            f"{report.name} ({report.id}): {report.done} videos, {report.quarantined} "
            f"quarantined; {state}"
        )
    return 3 if report.quarantined else 0
