"""`vifi report DIR`: tables, figures and a page from a results folder."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from vifi.console import parse, say
from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ReportArguments:
    """Draw tables, figures and a page that opens from disk."""

    results: tyro.conf.Positional[Path]
    """Results folder, as written by --results of evaluate and ablate."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("report", ReportArguments, arguments)
    if not wanted.results.is_dir():
        raise UsageError(
            f"there is no results folder at {wanted.results}; write one with "
            "vifi evaluate ... --results DIR"
        )

    from reports.report import make_report

    files = make_report(wanted.results)
    say(f"{len(files)} files written; open {files[-1]}")
    return 0
