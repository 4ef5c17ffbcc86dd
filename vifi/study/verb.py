"""`vifi study`: from one file to all tables; stop it, run it again, add to it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from vifi.command_line.console import parse, say
from vifi.study.ledger import Ledger, digests
from vifi.study.outcome import StudyOutcome
from vifi.study.showing import show_plan
from vifi.study.step_words import refuse_wrong_words
from vifi.study.steps import Places, Step, plan_steps
from vifi.study.study_file import read_study
from vifi.study.study_lock import only_study
from vifi.study.study_parts import Study
from vifi.study.study_tree import StudyTree
from vifi.study.words import on_cluster
from vifistore.cluster.ray_settings import RaySettings
from vifistore.errors import UsageError
from vifistore.training.folder_lock import require_folder


@dataclass(frozen=True, kw_only=True)
class StudyArguments:
    """Do a whole study as its file says, from videos to tables and the page; run again to go on."""

    study: Annotated[Path, tyro.conf.Positional]
    """TOML file of the study."""
    out: Path | None = None
    """Folder for its store, runs, tables and page. Default: reports/out/NAME of the file."""
    only: tuple[str, ...] = ()
    """Questions to answer, with all that they need; default: all."""
    on: str = ""
    """ray: extract on the Ray cluster that this machine belongs to, or on this machine by itself;
    ray://HOST:PORT: on that cluster. All else is done here."""
    dry_run: bool = False
    """Say what would be done, and do nothing."""
    json: bool = False
    """Print one JSON document (with --dry-run)."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 1 where a step failed."""
    wanted = parse("study", StudyArguments, arguments)
    if wanted.json and not wanted.dry_run:
        raise UsageError("--json prints the plan; give it with --dry-run")
    if wanted.on:
        RaySettings(address=wanted.on)
    study = read_study(wanted.study)
    out = wanted.out or Path("reports/out") / wanted.study.stem
    require_folder(out)
    places = Places(out=out, study=str(wanted.study), on=wanted.on)
    if not wanted.dry_run:
        return 1 if run_study(study, places, wanted.only).failed else 0
    steps = plan_steps(study, places, wanted.only)
    refuse_wrong_words(steps)
    known, ledger = digests(steps, out), Ledger(out)
    show_plan(study, _on_cluster(steps, places), known, ledger, places, as_json=wanted.json)
    return 0


def run_study(study: Study, places: Places, only: tuple[str, ...] = ()) -> StudyOutcome:
    """Do what of a study is not done, and say what came of it."""
    steps = plan_steps(study, places, only)
    outcome = _run(study, steps, places)
    for name, reason in outcome.failed.items():
        say(f"{name}: failed: {reason}")
    page = places.out / "index.html"
    say(f"{len(outcome.done)} steps done now" + (f"; open {page}" if page.is_file() else ""))
    return outcome


def _run(study: Study, steps: list[Step], places: Places) -> StudyOutcome:
    known, ledger = digests(steps, places.out), Ledger(places.out)
    tree = StudyTree(steps, known, ledger)
    say(f"{study.title}: {len(steps)} steps, {len(tree.to_do)} to do")
    if not tree.to_do:
        return StudyOutcome()
    refuse_wrong_words(tree.to_do)
    with only_study(places.out):
        # Another process may have done some until now.
        tree = StudyTree(steps, known, ledger)
        say("\n".join(tree.lines))
        outcome = _run_left(study, steps, places, tree)
    say("\n".join(tree.lines))
    return outcome


def _run_left(study: Study, steps: list[Step], places: Places, tree: StudyTree) -> StudyOutcome:
    from vifi.study.page_words import write_words
    from vifi.study.running import run_steps

    known, ledger = digests(steps, places.out), Ledger(places.out)
    # Of all questions: others may be asked now than those whose rows are gone.
    ledger.forget_lost(plan_steps(study, places))
    return run_steps(
        _on_cluster(steps, places),
        known,
        ledger,
        tree,
        before_report=lambda: write_words(study, steps, ledger, places),
    )


def _on_cluster(steps: list[Step], places: Places) -> list[Step]:
    """With what says where: it is no part of what a step is known by."""
    return [
        replace(step, commands=tuple(on_cluster(command, places.on) for command in step.commands))
        for step in steps
    ]
