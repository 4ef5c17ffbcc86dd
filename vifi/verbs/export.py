"""`vifi export S`: write a feature set as files of other tools."""

from dataclasses import asdict, dataclass, replace

from vifi.command_line.choices import choose_features
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifistore.store import open_store
from vifistore.store.exporting.formats import ExportSettings, export_features


@dataclass(frozen=True, kw_only=True)
class ExportArguments(PrintArguments, StoreArguments):
    """Write a feature set as files of other tools; each array is verified as it is read."""

    settings: ExportSettings


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("export", ExportArguments, arguments)
    store, settings = open_store(wanted.store), wanted.settings
    if not settings.features:
        (features,) = choose_features(store.dataset(settings.dataset), ())
        settings = replace(settings, features=features.name)
    report = export_features(store, settings)
    if wanted.json:
        print_json(asdict(report))
    else:
        said = f"{report.done} videos of feature set {report.id} in {report.out}"
        left = {"quarantined": report.quarantined, "still to do": report.todo}
        say(", ".join([said, *(f"{count} {why}" for why, count in left.items() if count)]))
    return 3 if report.quarantined else 0
