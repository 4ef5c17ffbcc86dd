"""What a study tells its page: what it is about, what came of its comparisons, and its seconds."""

import shlex
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from harness.results import FILE_NAME, ResultRow, read_rows
from harness.results.json_artefacts import StudyText, Summary, Timing
from harness.results.row_names import row_name
from harness.statistics import Comparison
from vifi.scoring.scored_rows import covered_by, place_of
from vifi.study.ledger import Ledger
from vifi.study.steps import REPORT, Step, plan_steps
from vifi.study.study_document import files_of
from vifi.study.study_parts import Study
from vifi.study.words import Places
from vifistore.errors import first_few
from vifistore.files import read_regular

_AGAINST = "against"
_DOINGS = {"train": "trainings", "extract": "extractions", "ask": "questions"}


def write_words(study: Study, steps: list[Step], ledger: Ledger, places: Places) -> None:
    """Write the title of the page, its first lines, the seconds of all steps that are done, and
    the file of the study with those that it builds on."""
    out = places.out
    files = files_of(Path(places.study)) if places.study else []
    texts = {path.name: read_regular(path).decode("utf-8-sig") for path in files}
    StudyText(files=texts).write(out)
    timings = [
        Timing(step=step.name, seconds=entry.seconds)
        for step in steps
        if step.name != REPORT and (entry := ledger.entry(step.name))
    ]
    Timing.write_all(out, timings)
    others = _of_others(study, places)
    lines = (*headlines(study, steps, out), *study.about, *_spent(timings), *others)
    Summary(title=study.title, lines=lines).write(out)


def headlines(study: Study, steps: list[Step], out: Path) -> list[str]:
    """A sentence for each comparison of the questions that are headlines; of a mean of several
    there is none, as it has no interval of its own."""
    told = {f"ask {name}" for name, question in study.questions.items() if question.headline}
    asked = [list(step.commands[0]) for step in steps if step.name.partition(" of ")[0] in told]
    return [
        _sentence(row)
        for row in read_rows(out)
        if _AGAINST in row.provenance and row.ci_low is not None and row.ci_high is not None
        if _words(row.provenance.get("command")) in asked
    ]


def _of_others(study: Study, places: Places) -> Iterator[str]:
    """A sentence on rows that no question of the study made as it is now: an earlier one did, or
    somebody by hand."""
    own = [list(command) for step in plan_steps(study, places) for command in step.commands]
    told = [row.provenance.get("command") for row in read_rows(places.out)]
    others = [str(command) for command in told if _words(command) not in own]
    if others:
        yield (
            f"{len(others):,} numbers are not of the study as it is now, but of: "
            f"{first_few(dict.fromkeys(others), 3, 200, '; ')}. To have its own alone, remove "
            f"{FILE_NAME} and run it again."
        )


def _words(command: object) -> list[str]:
    """Of a command line, without the program; empty for what is none."""
    try:
        return shlex.split(str(command or ""))[1:]
    except ValueError:
        return []


def _sentence(row: ResultRow) -> str:
    assert row.ci_low is not None, "one without an interval is left out"
    assert row.ci_high is not None, "one without an interval is left out"
    p_value = float(row.provenance["p_value"])
    found = Comparison(difference=row.value, low=row.ci_low, high=row.ci_high, p_value=p_value)
    said = found.sentence(row_name(row), str(row.provenance[_AGAINST]))
    return f"{place_of(row)}: {said} (paired bootstrap over {covered_by(row)})."


def _spent(timings: list[Timing]) -> Iterator[str]:
    """How many steps of a kind there were, and their seconds together."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for timing in timings:
        seconds[timing.step.partition(" ")[0]].append(timing.seconds)
    parts = [
        f"{len(of_kind)} {_DOINGS[kind]} took {sum(of_kind):,.0f} s"
        for kind, of_kind in seconds.items()
        if kind in _DOINGS
    ]
    if parts:
        total = sum(timing.seconds for timing in timings)
        yield f"{', '.join(parts)}; all steps {total:,.0f} s."
