"""`vifi train PRESET S`: fine-tune a model on a split of a dataset."""

import inspect
import logging
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from harness.scoring import scored_split
from vifi.command_line.command_log import remember_command
from vifi.command_line.console import parse, print_json, renamed, say
from vifi.command_line.shared_arguments import PrintArguments
from vifi.verbs.train_defaults import with_fitting_warmup, with_frames_of
from vifi.verbs.watch import WatchArguments
from vifistore.errors import Faults, UnknownNameError, UsageError, first_line
from vifistore.models.config_files import find_config, model_faults
from vifistore.models.load_settings import WeightsSettings
from vifistore.store import open_store
from vifistore.store.store import Store
from vifistore.training.faults import checkpoint_name, require_torchrun, run_faults
from vifistore.training.folder_lock import refuse_second, require_folder
from vifistore.training.follower import (
    FollowOptions,
    follower,
    watch_arguments,
)
from vifistore.training.options import RunOptions
from vifistore.training.presets import PRESETS
from vifistore.training.systems.known_systems import published_settings
from vifistore.training.training_settings import TrainSettings

if TYPE_CHECKING:
    from vifistore.training.run import Run, TrainReport

_REQUIRED = ("store", "dataset", "model", "pretrained", "out")


@dataclass(frozen=True, kw_only=True)
class TrainArguments(PrintArguments):
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
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    split: str = ""
    """Split of it to train on. `all`: every labelled video, which is the default where the dataset
    has no splits."""
    name: str = ""
    """Name of the checkpoints, before @step-N; empty takes the folder's."""
    paper_exact: bool = False
    """Do as the released code does, also where it is known to be wrong."""
    from_store: str = ""
    """Train on the cached embeddings of this feature set, on all of its frames unless --frames says
    otherwise; needs a frozen image tower."""
    settings: TrainSettings = field(default_factory=TrainSettings)
    options: RunOptions = field(default_factory=RunOptions)
    follow: FollowOptions = field(default_factory=FollowOptions)


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    preset, rest = _preset(renamed(arguments, {"--num-frames": "--frames"}))
    found = Faults()
    wanted = _parse(preset, rest, found)
    require_torchrun()
    store = open_store(wanted.store, mode="r")
    place = (store, wanted.dataset, wanted.from_store)
    wanted = replace(wanted, settings=with_frames_of(wanted.settings, *place, rest))
    options, watch = _checked(wanted, store, found)
    if store.dataset(wanted.dataset).is_everything(wanted.split):
        # One word for it: a stopped run goes on only with what it began with.
        wanted = replace(wanted, split="")

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.training.run import train

    run = _run(wanted, preset, store, options, watch)
    # Under torchrun one process starts the follower of all, and speaks for all.
    is_first = _is_first()
    followed = wanted.follow if is_first else FollowOptions()
    place = (wanted.out, wanted.store, wanted.dataset)
    with follower(followed, *place, wanted.options):
        report = train(run)
    if is_first:
        remember_command(store)
        _tell(wanted, report, len(run.videos.class_names))
    return _status(report)


def _checked(
    wanted: TrainArguments, store: Store, found: Faults
) -> tuple[RunOptions, WatchArguments | None]:
    """How to compute, and what the follower is called with, if there is one.

    Raises UsageError for all that is wrong with the call and can be seen, before a model is loaded
    and a video is read, and LockedError where another process trains in the folder.
    """
    watch = None
    if wanted.follow.extract_every and not found:
        # What the follower would refuse: nobody might see it before training ends.
        watch = _watch(wanted, store, found)
    found.attempt(checkpoint_name, wanted.name, wanted.out)
    found.attempt(require_folder, wanted.out)
    model_faults(found, wanted.model, wanted.pretrained)
    told = "--extract-every N and --checkpoint-every exclude each other"
    num_steps = wanted.follow.num_steps
    found.check(not (num_steps and wanted.options.checkpoint_every), told)
    with found.gathered():
        found.attempt(_note_run, wanted, store)
    found.refuse()
    # Processes that belong together would refuse each other: only the first one trains there.
    if _is_first():
        refuse_second(wanted.out)
    options = wanted.options
    return replace(options, checkpoint_every=num_steps) if num_steps else options, watch


def _is_first() -> bool:
    """Whether torchrun started no process before this one."""
    return os.environ.get("RANK", "0") == "0"


def _watch(wanted: TrainArguments, store: Store, found: Faults) -> WatchArguments | None:
    place = (wanted.out, wanted.store, wanted.dataset)
    words = watch_arguments(wanted.follow, *place, wanted.options)
    try:
        watch = parse("watch", WatchArguments, [*words, "--until-done"])
        store.dataset(watch.dataset)
    except UsageError as error:
        found.add(error)
        return None
    return watch


def _note_run(wanted: TrainArguments, store: Store) -> None:
    """Refuse settings that fit neither the split, nor the model, nor each other."""
    dataset = store.dataset(wanted.dataset)
    name = scored_split(dataset, wanted.split, "train on")
    features = dataset.features(wanted.from_store) if wanted.from_store else None
    run_faults(
        wanted.settings,
        wanted.options,
        dataset,
        dataset.split(name),
        config=find_config(wanted.model),
        features=features,
        world=int(os.environ.get("WORLD_SIZE", "1")),
        # Of what exactly it keeps is known later.
        is_followed=bool(wanted.follow.extract_every),
    ).refuse()


def _run(
    wanted: TrainArguments,
    preset: str,
    store: Store,
    options: RunOptions,
    watch: WatchArguments | None,
) -> "Run":
    from vifistore.extract.recipes import choose_device
    from vifistore.models.openclip_model import require_tunable
    from vifistore.models.towers import load_model
    from vifistore.training.run import Run
    from vifistore.training.shared_frames import kept_by_follower, shares
    from vifistore.training.training_split import open_training_set

    choose_device(options.device)
    start = load_model(wanted.model, wanted.pretrained, weights=wanted.weights)
    require_tunable(start, "vifi train tunes")
    dataset = store.dataset(wanted.dataset)
    others = ()
    if watch and shares(dataset, options, watch.dataset, watch.encode):
        others = (kept_by_follower(watch.encode, start, wanted.settings),)
    videos = open_training_set(
        dataset,
        wanted.split,
        start,
        wanted.settings,
        options,
        features=dataset.features(wanted.from_store) if wanted.from_store else None,
        others=others,
    )
    return Run(
        start=start,
        videos=replace(videos, data={"preset": preset, **videos.data}),
        settings=wanted.settings,
        out=wanted.out,
        name=wanted.name,
        options=options,
    )


def _preset(arguments: list[str]) -> tuple[str, list[str]]:
    """The preset's name and the arguments behind it; --help alone lists the presets."""
    name, *rest = arguments or [""]
    if name in ("-h", "--help"):
        say("usage: vifi train PRESET S --dataset D --split TRAIN --model M --pretrained P --out O")
        say("       (vifi train PRESET --help explains its arguments)\n")
        for preset, make in PRESETS.items():
            say(f"  {preset:<22} {first_line(make.__doc__)}")
        raise SystemExit(0)
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS, "Give it first: vifi train PRESET S ...")
    return name, rest


def _parse(preset: str, arguments: list[str], found: Faults | None = None) -> TrainArguments:
    """Read the arguments, with the settings of the preset as defaults; faults are added to those
    found, if they are given.

    They are read twice: what the preset's settings are depends on some of them.
    """
    if {"-h", "--help"} & set(arguments):
        say(f"{inspect.getdoc(PRESETS[preset])}\n")
    missing: dict[str, Any] = dict.fromkeys(_REQUIRED, tyro.MISSING)
    verb = f"train {preset}"
    defaults = TrainArguments(**missing, settings=PRESETS[preset]())
    # What is wrong with them is told of the second reading.
    trial = {"faults": Faults(), "is_trial": True}
    first = parse(verb, TrainArguments, arguments, default=defaults, **trial)
    with Faults().gathered():
        settings = published_settings(
            preset,
            first.settings.system,
            paper_exact=first.paper_exact,
            dataset=first.dataset,
            shots=first.settings.shots,
        )
        settings = with_fitting_warmup(settings, first.settings.epochs, arguments)
    defaults = replace(defaults, settings=settings)
    return parse(verb, TrainArguments, arguments, default=defaults, faults=found)


def _status(report: "TrainReport") -> int:
    """Exit code of a run that is done.

    Under torchrun always 0: any other ends the first process while it waits for its follower, and
    is told as a failure.
    """
    is_alone = os.environ.get("WORLD_SIZE", "1") == "1"
    return 3 if report.skipped and is_alone else 0


def _tell(wanted: TrainArguments, report: "TrainReport", num_classes: int) -> None:
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
        over = f", {words} (on training videos of {num_classes} classes)" if words else ""
        say(f"{report.path}: {report.step} steps{over}")
    if report.skipped:
        logging.getLogger("vifi").warning(
            "%d videos could not be read; finished.json says why", len(report.skipped)
        )
