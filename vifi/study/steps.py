"""From a study to its steps: ordinary commands, and which of them need which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.results import FILE_NAME
from vifi.study.expanding import filled
from vifi.study.study_document import files_of
from vifi.study.study_parts import Question, Study, StudySystem
from vifi.study.study_questions import asked, needs_of
from vifi.study.words import Command, Places, flag_words, makers_of, weights_of
from vifistore.errors import UnknownNameError, UsageError

REPORT = "report"
# What these found is gone with the file of the rows.
_WRITE_ROWS = ("evaluate", "ablate")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A piece of work that is done, or not."""

    name: str
    """Its kind and what it is about: `train full`."""
    commands: tuple[Command, ...]
    needs: tuple[str, ...] = ()
    """Names of the steps that come before."""
    makes: tuple[str, ...] = ()
    """Files and folders that are there afterwards."""
    reads: tuple[str, ...] = ()
    """Of the page the files of the study."""

    @property
    def kind(self) -> str:
        """prepare, scan, train, extract, ask or report."""
        return self.name.partition(" ")[0]


def file_name(step: str) -> str:
    """What the files of a step are called, by its name."""
    return step.replace(" ", "_")


def plan_steps(study: Study, places: Places, only: tuple[str, ...] = ()) -> list[Step]:
    """The steps of a study, each behind all that it needs.

    `only` names questions: what these need, and nothing else. Raises UnknownNameError for one
    that the study has not.
    """
    for name in only:
        if name not in study.questions:
            raise UnknownNameError("question", name, list(study.questions))
    chosen = [q for q in study.questions.values() if not only or q.name in only]
    questions = [step for question in chosen for step in _questions(study, places, question)]
    steps = [*_prepare(study), *_scans(study, places)]
    for system in study.systems.values():
        steps += _system(study, places, system)
    steps += questions
    _refuse_equal(steps)
    by_name = {step.name: _placed(step, places) for step in steps}
    wanted = _needed(by_name, [step.name for step in questions])
    ordered = [step for name, step in by_name.items() if name in wanted]
    trained = [s for s in study.systems.values() if s.preset and f"train {s.name}" in wanted]
    drawn = ("report", str(places.out), "--store", places.store)
    if trained:
        drawn += ("--runs", *(places.run(system) for system in trained))
    drawn += flag_words(study.report)
    if places.study and study.has_tables:
        drawn += ("--tables", places.study)
    page = (str(places.out / "index.html"),)
    needs = tuple(step.name for step in questions)
    files = tuple(map(str, files_of(Path(places.study)))) if places.study else ()
    ends = Step(name=REPORT, commands=(drawn,), needs=needs, makes=page, reads=files)
    return [*_in_order(ordered), ends]


def _refuse_equal(steps: Sequence[Step]) -> None:
    """Raise UsageError for two steps whose files would be one: `ask a of b` and `ask a_of_b`."""
    known: dict[str, str] = {}
    for step in steps:
        other = known.setdefault(file_name(step.name), step.name)
        if other != step.name:
            told = f"{other} and {step.name} would be noted in one file"
            raise UsageError(f"{told}; give one of them a name without _of_")


def _prepare(study: Study) -> list[Step]:
    names = [f"prepare {name}" for name in study.prepare]
    return [
        Step(
            name=names[i],
            commands=(tuple(entry.command),),
            needs=tuple(names[:i]),
            makes=tuple(entry.makes),
        )
        for i, entry in enumerate(study.prepare.values())
    ]


def _scans(study: Study, places: Places) -> Iterator[Step]:
    first = tuple(f"prepare {name}" for name in study.prepare)
    for name, dataset in study.datasets.items():
        calls = (("scan", places.store, *words, "--dataset", name) for words in dataset.scan)
        made = (places.store,) if dataset.scan else ()
        yield Step(name=f"scan {name}", commands=tuple(calls), needs=first, makes=made)


def _system(study: Study, places: Places, system: StudySystem) -> Iterator[Step]:
    if system.is_trained:
        yield (_head if system.head else _training)(study, places, system)
    made = makers_of(study, system)
    for dataset in study.datasets:
        if system.head:
            if dataset != system.dataset:
                yield _head_elsewhere(study, places, system, dataset)
            continue
        words = ("--dataset", dataset, *weights_of(study, places, system))
        flags = {"frame-cache": places.frames, **study.extract, **system.extract}
        named = ("--name", system.feature_name, *flag_words(flags))
        yield Step(
            name=f"extract {system.name} of {dataset}",
            commands=(("extract", places.store, *words, *named),),
            needs=(*made, f"scan {dataset}"),
            makes=(places.store,),
        )


def _training(study: Study, places: Places, system: StudySystem) -> Step:
    start, out = study.systems[system.start], places.run(system)
    flags = {"frame-cache": places.frames, **study.train, **system.flags}
    words = ("--dataset", system.dataset, *(("--split", system.split) if system.split else ()))
    command = ("train", system.preset, places.store, *words, *weights_of(study, places, start))
    return Step(
        name=f"train {system.name}",
        commands=((*command, "--name", system.name, "--out", out, *flag_words(flags)),),
        needs=(f"scan {system.dataset}", *makers_of(study, start)),
        makes=(f"{out}/finished.json",),
    )


def _head(study: Study, places: Places, system: StudySystem) -> Step:
    split = ("--split", system.split) if system.split else ()
    kind = ("--head", system.head, *split, "--out", places.run(system))
    return Step(
        name=f"train {system.name}",
        commands=(_train_head(study, places, system, system.dataset, *kind),),
        needs=(f"extract {system.start} of {system.dataset}",),
        makes=(places.run(system), places.store),
    )


def _head_elsewhere(study: Study, places: Places, system: StudySystem, dataset: str) -> Step:
    """A head on the frames of a dataset that it was not trained on."""
    # Its flags are those of its training.
    frozen = replace(system, flags={})
    command = _train_head(study, places, frozen, dataset, "--apply", places.run(system))
    return Step(
        name=f"extract {system.name} of {dataset}",
        commands=(command,),
        needs=(f"train {system.name}", f"extract {system.start} of {dataset}"),
        makes=(places.store,),
    )


def _train_head(
    study: Study, places: Places, system: StudySystem, dataset: str, *words: str
) -> Command:
    frames = study.systems[system.start].feature_name
    of = ("--dataset", dataset, "--features", frames, "--name", system.feature_name)
    return ("train-head", places.store, *of, *words, *flag_words(system.flags))


def _questions(study: Study, places: Places, question: Question) -> Iterator[Step]:
    verb = question.ask.split()[0]
    is_each = (verb == "evaluate" and not question.together) or question.is_of_weights
    is_each = is_each and len(question.systems) > 1
    for systems in [[name] for name in question.systems] if is_each else [question.systems]:
        against = question.against
        if is_each and len(against) > 1:
            against = [against[question.systems.index(systems[0])]]
        one = replace(question, systems=systems, against=against)
        yield Step(
            name=f"ask {question.name}{f' of {systems[0]}' if is_each else ''}",
            commands=(asked(study, places, one),),
            needs=needs_of(study, one),
            makes=(str(places.out / FILE_NAME),) if verb in _WRITE_ROWS else (),
        )


def _placed(step: Step, places: Places) -> Step:
    """`{out}` in its words means the folder of the study."""
    here = {"out": str(places.out)}
    commands = tuple(tuple(str(filled(w, here)) for w in command) for command in step.commands)
    makes = tuple(str(filled(path, here)) for path in step.makes)
    return replace(step, commands=commands, makes=makes)


def _needed(steps: dict[str, Step], names: list[str]) -> set[str]:
    """These steps, and all that they need."""
    found: set[str] = set()
    while names:
        name = names.pop()
        if name not in found:
            found.add(name)
            names += steps[name].needs
    return found


def _in_order(steps: list[Step]) -> list[Step]:
    """Each as soon as what it needs is behind it, else in the order of the file."""
    left, done, ordered = list(steps), set[str](), list[Step]()
    while left:
        ready = next(step for step in left if done.issuperset(step.needs))
        left.remove(ready)
        done.add(ready.name)
        ordered.append(ready)
    return ordered
