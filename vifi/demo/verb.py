"""`vifi demo`: the whole line on a small generated data set."""

from dataclasses import dataclass
from pathlib import Path

from vifi.command_line.console import parse
from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class DemoArguments:
    """Generate clips, train, fine-tune, encode, score and draw; no network, no GPU needed."""

    quick: bool = False
    """Fewer clips and epochs: under 90 seconds on two cores."""
    full: bool = False
    """More clips and epochs; also prompt learning, and the tuned model blended with its start."""
    out: Path = Path("reports/out/demo")
    """Folder for the store, the checkpoints, the tables and the page."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for two sizes at once, and for a folder of something else.
    """
    wanted = parse("demo", DemoArguments, arguments)
    if wanted.quick and wanted.full:
        raise UsageError("--quick and --full exclude each other; give one of them")

    from vifi.demo.demo_settings import FULL, PLAIN, QUICK
    from vifi.demo.story import run_story

    run_story(QUICK if wanted.quick else FULL if wanted.full else PLAIN, wanted.out)
    return 0
