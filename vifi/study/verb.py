"""`vifi study`: from one file to all tables; stop it, run it again, add to it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vifi.command_line.console import parse, say
from vifi.study.ledger import Ledger, digests
from vifi.study.outcome import StudyOutcome
from vifi.study.showing import show_plan
from vifi.study.steps import Places, Step, plan_steps
from vifi.study.study_file import read_study
from vifi.study.study_parts import Study
from vifistore.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class StudyArguments:
    """Do a whole study as its file says, from videos to tables and the page; run again to go on."""

    study: Annotated[Path, tyro.conf.Positional]
    """TOML file of the study."""
    out: Path | None = None
    """Folder for its store, runs, tables and page. Default: reports/out/NAME of the file."""
    only: tuple[str, ...] = ()
    """Questions to answer, with all that they need; default: all."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    json: bool = False
    """Print one JSON document (with --dry-run)."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 1 where a step failed."""
    wanted = parse("study", StudyArguments, arguments)
    if wanted.json and not wanted.dry_run:
        raise UsageError("--json prints the plan; give it with --dry-run")
    study = read_study(wanted.study)
    out = wanted.out or Path("reports/out") / wanted.study.stem
    places = Places(out=out, study=str(wanted.study))
    if not wanted.dry_run:
        return 1 if run_study(study, places, wanted.only).failed else 0
    steps = plan_steps(study, places, wanted.only)
    known, ledger = digests(steps, out), Ledger(out)
    show_plan(study, steps, known, ledger, places, as_json=wanted.json)
    return 0


def run_study(study: Study, places: Places, only: tuple[str, ...] = ()) -> StudyOutcome:
    """Do what of a study is not done, and say what came of it."""
    steps = plan_steps(study, places, only)
    outcome = _run(study, steps, places.out)
    for name, waits_for in outcome.waiting.items():
        say(f"{name}: waits for {waits_for}")
    for name, reason in outcome.failed.items():
        say(f"{name}: failed: {reason}")
    say(f"{len(outcome.done)} steps done now; open {places.out / 'index.html'}")
    return outcome


def _run(study: Study, steps: list[Step], out: Path) -> StudyOutcome:
    known, ledger = digests(steps, out), Ledger(out)
    to_do = [step for step in steps if not ledger.is_done(step, known[step.name])]
    say(f"{study.title}: {len(steps)} steps, {len(to_do)} to do")
    if not to_do:
        return StudyOutcome()
    from vifi.study.page_words import write_words
    from vifi.study.running import run_steps

    return run_steps(
        steps, known, ledger, before_report=lambda: write_words(study, steps, ledger, out)
    )
