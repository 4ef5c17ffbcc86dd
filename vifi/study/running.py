"""Do the steps of a study: what is done stays, what fails holds up only what needs it."""

import contextlib
import importlib
import logging
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from vifi.__main__ import module_of
from vifi.command_line.console import say
from vifi.command_line.endings import shortage
from vifi.study.ledger import Entry, Ledger
from vifi.study.outcome import StudyOutcome
from vifi.study.steps import REPORT, Command, Step
from vifi.study.stopping import stops_kept
from vifi.study.study_tree import StudyTree
from vifistore.errors import VifiError, shell, short
from vifistore.files import regular_opener

# Of a verb: all done, or done with some videos quarantined.
_DONE = {0: "", 3: "some videos are quarantined"}


def run_steps(
    steps: list[Step],
    digests: Mapping[str, str],
    ledger: Ledger,
    tree: StudyTree,
    before_report: Callable[[], None] = lambda: None,
) -> StudyOutcome:
    """Do what is not done. A step that fails stops no other but those that need it."""
    with stops_kept() as check_stop:
        return _run_all(steps, digests, ledger, tree, before_report, check_stop)


def _run_all(
    steps: list[Step],
    digests: Mapping[str, str],
    ledger: Ledger,
    tree: StudyTree,
    before_report: Callable[[], None],
    check_stop: Callable[[], None],
) -> StudyOutcome:
    outcome = StudyOutcome()
    to_do = {step.name for step in tree.to_do}
    for i, step in enumerate(steps):
        check_stop()
        if step.name not in to_do:
            continue
        held = {**outcome.failed, **outcome.waiting}
        blocking = next((name for name in step.needs if name in held), "")
        # The page tells of what there is.
        if blocking and step.name != REPORT:
            outcome.waiting[step.name] = outcome.waiting.get(blocking, blocking)
            continue
        if step.name == REPORT:
            before_report()
        say(f"[{i + 1}/{len(steps)}] {step.name} ...")
        for command in step.commands:
            say(f"   {shell('vifi', *command)}")
        _run(step, digests[step.name], ledger, tree, outcome)
    return outcome


def _run(step: Step, digest: str, ledger: Ledger, tree: StudyTree, outcome: StudyOutcome) -> None:
    begun = time.perf_counter()
    try:
        with _logged(ledger.path(step, ".log")):
            remarks = [_call(command) for command in step.commands]
    except Exception as error:  # noqa: BLE001 - told, and all of it in the step's log
        outcome.failed[step.name] = _reason(error, ledger.path(step, ".log"))
        tree.fail(step)
        say(f"   failed: {outcome.failed[step.name]}")
        return
    seconds = round(time.perf_counter() - begun, 1)
    remark = next(filter(None, remarks), "")
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    ledger.note(step, Entry(digest=digest, seconds=seconds, ended=now, remark=remark))
    outcome.done.append(step.name)
    counted = f"{step.kind} {tree.add(step, seconds)}"
    say(f"   {'; '.join(filter(None, (f'{seconds:.1f} s', remark, counted)))}")


def _reason(error: Exception, log: Path) -> str:
    """Why a step failed, as one line; of what no verb foresaw the log has the rest."""
    if isinstance(error, VifiError | OSError):
        return " ".join(str(error).split())
    with open(log, "a", encoding="utf-8", opener=regular_opener) as file:
        traceback.print_exception(error, file=file)
    told = shortage(error) or f"{type(error).__name__}: {short(' '.join(str(error).split()), 200)}"
    return f"{told}; all of it is in {log}"


def _call(command: Command) -> str:
    """Run a verb here; return what is to be said of its end."""
    verb, *words = command
    line = shell("vifi", *command)
    say(f"$ {line}")
    with _as_typed(command):
        code = importlib.import_module(module_of(verb)).main(words)
    if code not in _DONE:
        raise VifiError(f"it ended with code {code}; run it to see why: {line}")
    return _DONE[code]


@contextlib.contextmanager
def _as_typed(command: Command) -> Iterator[None]:
    """What is made says which command made it: the step's, and not the study's."""
    own, sys.argv = sys.argv, ["vifi", *command]
    try:
        yield
    finally:
        sys.argv = own


@contextlib.contextmanager
def _logged(path: Path) -> Iterator[None]:
    """Keep what verbs print and log in a file; the terminal gets bars and warnings alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("vifi")
    with (
        open(path, "w", encoding="utf-8", opener=regular_opener) as file,
        contextlib.redirect_stdout(file),
    ):
        kept = logging.StreamHandler(file)
        levels = {handler: handler.level for handler in logger.handlers}
        for handler in levels:
            handler.setLevel(logging.WARNING)
        logger.addHandler(kept)
        try:
            yield
        finally:
            logger.removeHandler(kept)
            for handler, level in levels.items():
                handler.setLevel(level)
