"""A study's plan: its steps, whether they are done, and what those to do will take."""

from collections.abc import Mapping
from pathlib import Path

from vifi.command_line.console import print_json, say
from vifi.study.costs import MACHINES, StepCost, VideoCounts, costs
from vifi.study.ledger import Ledger
from vifi.study.steps import Places, Step
from vifi.study.study_parts import Study
from vifistore.errors import shell
from vifistore.store import open_store


def show_plan(
    study: Study,
    steps: list[Step],
    digests: Mapping[str, str],
    ledger: Ledger,
    places: Places,
    *,
    as_json: bool,
) -> None:
    """Print each step with its commands, then what all of them take."""
    known = costs(study, sizes_in(study, places))
    to_do = [step for step in steps if not ledger.is_done(step, digests[step.name])]
    total = sum((known[step.name] for step in to_do if step.name in known), StepCost())
    if as_json:
        told = [_document(step, known.get(step.name), is_done=step not in to_do) for step in steps]
        print_json({"title": study.title, "steps": told, "to_do": _figures(total)})
        return
    for step in steps:
        state = "to do" if step in to_do else "done"
        cost = f"; {_words(known[step.name])}" if step in to_do and step.name in known else ""
        say(f"{step.name}: {state}{cost}")
        for command in step.commands:
            say(f"   {shell('vifi', *command)}")
    trainings = sum(step.kind == "train" for step in to_do)
    told = f": {_words(total)}" if any(step.name in known for step in to_do) else ""
    say(f"{len(steps)} steps, {len(to_do)} to do, {trainings} of them trainings{told}")
    for machine in MACHINES:
        say(f"   {machine.name}: {machine.source}")


def sizes_in(study: Study, places: Places) -> VideoCounts:
    """How many videos the study's store holds, and trainings see."""
    if not Path(places.store).is_dir():
        return VideoCounts()
    store = open_store(places.store, mode="r")
    there = {name: store.dataset(name) for name in study.datasets if name in store.datasets()}
    trained = {
        system.name: len(there[system.dataset].split(system.split).rows)
        for system in study.systems.values()
        if system.dataset in there and system.split in there[system.dataset].splits()
    }
    return VideoCounts(
        datasets={name: dataset.num_videos for name, dataset in there.items()}, trained_on=trained
    )


def _document(step: Step, cost: StepCost | None, *, is_done: bool) -> dict:
    commands = [shell("vifi", *command) for command in step.commands]
    told = {"step": step.name, "needs": step.needs, "done": is_done, "commands": commands}
    return told | (_figures(cost) if cost else {})


def _figures(cost: StepCost) -> dict:
    return {
        "videos": cost.videos,
        "frames": cost.frames,
        "hours": {machine.name: round(cost.hours(machine), 3) for machine in MACHINES},
        "gigabytes": round(cost.gigabytes, 3),
    }


def _words(cost: StepCost) -> str:
    if not cost.videos:
        return "of how many videos is not known yet; num_videos = N in the study says so"
    hours = (f"{_short(cost.hours(machine))} h on {machine.name}" for machine in MACHINES)
    return f"{cost.videos:,} videos, {', '.join(hours)}, {_short(cost.gigabytes)} GB"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
