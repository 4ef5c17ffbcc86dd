"""`vifi train PRESET S`: fine-tune a model on a split of a dataset."""

import inspect
import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from vifi.console import parse, print_json, say
from vifi.watch import WatchArguments
from vifistore.errors import UnknownNameError, UsageError
from vifistore.store import open_store
from vifistore.store.store import Store
from vifistore.training.folder_lock import refuse_second
from vifistore.training.follower import (
    FollowOptions,
    follower,
    shared_flags,
    watch_arguments,
)
from vifistore.training.launch import require_torchrun
from vifistore.training.naming import checkpoint_name
from vifistore.training.options import RunOptions
from vifistore.training.presets import PRESETS, WITH_SHOTS
from vifistore.training.settings import TrainSettings

if TYPE_CHECKING:
    from vifistore.training.run import Run, TrainReport

_REQUIRED = ("store", "dataset", "model", "pretrained", "out")


@dataclass(frozen=True, kw_only=True)
class TrainArguments:
    """Fine-tune a model; run the same command again to go on after a stop.

    Every setting of the preset can be given another value.
    """

    store: tyro.conf.Positional[str]
    """Path of the store that lists the videos."""
    dataset: str
    """Dataset to train on."""
    model: str
    """OpenCLIP model name, for instance ViT-B-16-quickgelu."""
    pretrained: str
    """Weights to start from: a tag such as openai, a file, or none for random ones."""
    out: Path
    """Folder for checkpoints and logs."""
    split: str = ""
    """Split of it to train on; empty takes every labelled video."""
    name: str = ""
    """Name of the checkpoints, before @step-N; empty takes the folder's."""
    paper_exact: bool = False
    """Do as the released code does, also where it is known to be wrong."""
    from_store: str = ""
    """Train on the cached embeddings of this feature set; needs a frozen image tower."""
    settings: TrainSettings = field(default_factory=TrainSettings)
    options: RunOptions = field(default_factory=RunOptions)
    follow: FollowOptions = field(default_factory=FollowOptions)
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    preset, rest = _preset(arguments)
    wanted = _parse(preset, rest)
    require_torchrun()
    store = open_store(wanted.store, mode="r")
    options, watch = _checked(wanted, store)

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.training.run import train

    run = _run(wanted, preset, store, options, watch)
    # Under torchrun one process starts the follower of all, and speaks for all.
    is_first = os.environ.get("RANK", "0") == "0"
    followed = wanted.follow if is_first else FollowOptions()
    place = (wanted.out, wanted.store, wanted.dataset)
    with follower(followed, *place, shared_flags(wanted.options)):
        report = train(run)
    if is_first:
        _tell(wanted, report)
    return _status(report)


def _checked(wanted: TrainArguments, store: Store) -> tuple[RunOptions, WatchArguments | None]:
    """How to compute, and what the follower is called with, if there is one.

    Raises UsageError for what is wrong with the call, as far as can be seen.
    """
    store.split(wanted.dataset, wanted.split)
    checkpoint_name(wanted.name, wanted.out)
    refuse_second(wanted.out)
    follow = wanted.follow
    if not follow.extract_every:
        return wanted.options, None
    # What the follower would refuse: nobody might see it before training ends.
    place = (wanted.out, wanted.store, wanted.dataset)
    words = watch_arguments(follow, *place, shared_flags(wanted.options))
    watch = parse("watch", WatchArguments, words)
    store.videos(watch.dataset)
    if not follow.num_steps:
        return wanted.options, watch
    if wanted.options.checkpoint_every:
        raise UsageError("--extract-every N and --checkpoint-every exclude each other")
    return replace(wanted.options, checkpoint_every=follow.num_steps), watch


def _run(
    wanted: TrainArguments,
    preset: str,
    store: Store,
    options: RunOptions,
    watch: WatchArguments | None,
) -> "Run":
    from vifistore.extract.recipes import choose_device
    from vifistore.models.towers import load_model
    from vifistore.training.dataset import open_training_set
    from vifistore.training.run import Run
    from vifistore.training.shared_frames import kept_by_follower, shares

    choose_device(options.device)
    start = load_model(wanted.model, wanted.pretrained)
    place = (store, wanted.dataset)
    others = ()
    if watch and shares(*place, options, watch.dataset, watch.encode):
        others = (kept_by_follower(watch.encode, start, wanted.settings),)
    videos = open_training_set(
        *(*place, wanted.split, start, wanted.settings, options),
        features=wanted.from_store,
        others=others,
    )
    return Run(
        start=start,
        source=videos.source,
        class_names=videos.class_names,
        settings=wanted.settings,
        out=wanted.out,
        name=wanted.name,
        data={"preset": preset, **videos.data},
        tuned_on=videos.tuned_on,
        preprocessing=videos.preprocessing,
        reads=videos.reads,
        options=options,
    )


def _preset(arguments: list[str]) -> tuple[str, list[str]]:
    """The preset's name and the arguments behind it; --help alone lists the presets."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        say("usage: vifi train PRESET S --dataset D --split TRAIN --model M --pretrained P --out O")
        say("       (vifi train PRESET --help explains its arguments)\n")
        for preset, make in PRESETS.items():
            say(f"  {preset:<22} {make.__doc__.splitlines()[0]}")
        raise SystemExit(0)
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS, "Give it first: vifi train PRESET S ...")
    return name, rest


def _parse(preset: str, arguments: list[str]) -> TrainArguments:
    """Read the arguments, with the settings of the preset as defaults.

    They are read twice: what the preset's settings are depends on some of them.
    """
    if {"-h", "--help"} & set(arguments):
        say(inspect.cleandoc(PRESETS[preset].__doc__) + "\n")
    missing = dict.fromkeys(_REQUIRED, tyro.MISSING)
    verb = f"train {preset}"
    defaults = TrainArguments(**missing, settings=PRESETS[preset]())
    first = parse(verb, TrainArguments, arguments, default=defaults)
    choice = {"paper_exact": first.paper_exact, "dataset": first.dataset}
    if preset in WITH_SHOTS:
        choice["shots"] = first.settings.shots
    return parse(
        verb,
        TrainArguments,
        arguments,
        default=replace(defaults, settings=PRESETS[preset](**choice)),
    )


def _status(report: "TrainReport") -> int:
    """Exit code of a run that is done.

    Under torchrun always 0: any other ends the first process while it waits for its follower, and
    is told as a failure.
    """
    is_alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return 3 if report.skipped and is_alone else 0


def _tell(wanted: TrainArguments, report: "TrainReport") -> None:
    document = {
        "checkpoint": str(report.path),
        "step": report.step,
        "metrics": report.metrics,
        "data_share": report.data_share,
        "skipped": report.skipped,
    }
    if wanted.json:
        print_json(document)
    else:
        words = ", ".join(f"{key} {value:.3f}" for key, value in report.metrics.items())
        say(f"{report.path}: {report.step} steps{', ' if words else ''}{words}")
    if report.skipped:
        logging.getLogger("vifi").warning(
            "%d videos could not be read; finished.json says why", len(report.skipped)
        )
