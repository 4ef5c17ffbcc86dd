"""`vifi export-results DIR`: result rows as the files that CLIP_benchmark reads."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from harness.export_results import export_clip_benchmark
from harness.results import read_rows
from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments
from vifistore.errors import shell


@dataclass(frozen=True, kw_only=True)
class ExportResultsArguments(PrintArguments):
    """Write one CLIP_benchmark JSON file per evaluation; its `build` makes one CSV of them."""

    results: tyro.conf.Positional[Path]
    """Results folder, as written by --results of evaluate and ablate."""
    out: Path | None = None
    """Folder of the files; default: clip_benchmark in the results folder."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("export-results", ExportResultsArguments, arguments)
    folder = wanted.out or wanted.results / "clip_benchmark"
    files = export_clip_benchmark(read_rows(wanted.results), folder)
    if wanted.json:
        print_json({"files": [str(path) for path in files]})
    else:
        say(
            f"{len(files)} files in {folder}; one CSV of all: "
            f"{shell('clip_benchmark', 'build', folder)} --output results.csv"
        )
    return 0
