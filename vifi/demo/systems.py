"""With --full: the systems that the paper compares, trained and scored by the verbs alone.

Each is tuned three times, from the same tiny CLIP: on every training clip; on a few clips of each
class; on a few of each base class, and then scored on classes that it never saw as well. Prompts
are learned in front of ViFi-CLIP as it was tuned on the same clips, and A5 on frozen frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vifi.demo.demo_settings import DemoScale
from vifi.demo.questions import DATASET, SPLIT, Command
from vifi.demo.tuning import PROMPT_FLAGS, PROMPTED, TUNED, VANILLA
from vifistore.training.order import Order
from vifistore.training.run_folder import RunFolder

TRAIN = "train"
_HEAD = "a5"
# Name of a feature set, by which reports finds the paper's rows -> flags of `vifi train`.
TRAINED: dict[str, Command] = {
    "image-ft": ("--trains", "image"),
    # Frames of a frozen image tower are encoded once, and so not mirrored.
    "text-ft": ("--trains", "text", "--flip", 0),
    TUNED: (),
    # Ten times the rate of the towers, as published, is too much beside towers as young as these.
    "actionclip": ("--system", "actionclip", "--added-rate", 1),
    "x-clip": ("--system", "x-clip", "--added-rate", 1),
    PROMPTED: PROMPT_FLAGS,
}
# Those that the story has trained on every clip already.
_TOLD = ("image-ft", "text-ft", TUNED, PROMPTED)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One training of every system, and the protocol that scores it."""

    suffix: str
    """Behind the name of a feature set."""
    preset: str
    split: str
    """Of the training clips."""
    shots: int
    """Clips of a class; 0 for all."""
    protocol: str
    scored: Command
    """Flags of `vifi evaluate` that name what is scored."""
    epochs: int
    num_classes: int
    """That are trained on."""


def _tasks(scale: DemoScale) -> list[_Task]:
    few = {"epochs": scale.few_shot_epochs, "shots": scale.shots}
    num_base = -(-scale.classes // 2)
    named = f"few_shot_{scale.shots}"
    return [
        _Task(
            suffix="",
            preset="supervised_k400",
            split=TRAIN,
            shots=0,
            protocol="zero-shot",
            scored=("--split", SPLIT),
            epochs=scale.tuning.epochs,
            num_classes=scale.classes,
        ),
        _Task(
            suffix=f"-k{scale.shots}",
            preset="few_shot",
            split=f"{TRAIN}_{named}",
            protocol="few-shot",
            scored=("--split", SPLIT),
            num_classes=scale.classes,
            **few,
        ),
        _Task(
            suffix="-base",
            preset="base_to_novel",
            split=f"base_{TRAIN}_{named}",
            protocol="base-to-novel",
            scored=(),
            num_classes=num_base,
            **few,
        ),
    ]


def systems(scale: DemoScale, out: Path, start: Path, how: Command) -> dict[str, list[Command]]:
    """The commands of each step, in their order.

    `start` is the checkpoint that all begin with, `how` are flags of `vifi extract`.
    """
    store = out / "store.zarr"
    onto, whole = ("scan", store, "--dataset", DATASET), out / "videos"
    dataset, results = ("--dataset", DATASET), ("--results", out)
    vanilla = _extract(scale, store, start, VANILLA, ("--frames", scale.num_frames, *how))
    steps: dict[str, list[Command]] = {
        "add the training clips, and draw few of them and halves of the classes": [
            (*onto, whole / TRAIN, "--root", whole, "--split", TRAIN, "--append"),
            (*onto, "--halves", TRAIN, SPLIT, "--few-shot", TRAIN, "--shots", scale.shots),
            (*onto, "--few-shot", f"base_{TRAIN}", "--shots", scale.shots),
            vanilla,
        ]
    }
    for task in _tasks(scale):
        for name, commands in _trainings(scale, task, out, start, how):
            steps[f"{task.protocol}: train {name}, and encode all clips"] = commands
        names = [name + task.suffix for name in (*_names(task), _HEAD)]
        if task.protocol == "base-to-novel":
            names = [VANILLA, *names]
        steps[f"{task.protocol}: score the systems"] = [
            ("evaluate", store, task.protocol, *dataset, "--features", name, *task.scored, *results)
            for name in names
        ]
    return steps


def _names(task: _Task) -> list[str]:
    return [name for name in TRAINED if task.shots or name not in _TOLD]


def _trainings(
    scale: DemoScale, task: _Task, out: Path, start: Path, how: Command
) -> Iterator[tuple[str, list[Command]]]:
    """Name of a feature set, and the commands that make it."""
    store, dataset = out / "store.zarr", ("--dataset", DATASET)
    for system in _names(task):
        name = system + task.suffix
        weights = _last(scale, task, out, name)
        begun = start
        if system == PROMPTED:
            begun = _last(scale, task, out, TUNED + task.suffix)
        train = ("train", task.preset, store, *dataset, "--split", task.split)
        train += ("--model", scale.model, "--pretrained", begun, "--out", weights.parent)
        train += (*_training_flags(scale, task), *TRAINED[system])
        yield name, [train, _extract(scale, store, weights, name, how)]
    head = ("train-head", store, *dataset, "--features", VANILLA, "--split", task.split)
    name = _HEAD + task.suffix
    file = out / "systems" / f"{name}.safetensors"
    head += ("--head", _HEAD, "--name", name, "--out", file, "--learning-rate", 1e-3)
    yield name, [head]


def _training_flags(scale: DemoScale, task: _Task) -> Command:
    tuning = scale.tuning
    shots = ("--shots", task.shots) if task.preset == "few_shot" else ()
    return (
        *("--frames", tuning.num_frames, "--candidate-frames", 2 * tuning.num_frames),
        *("--learning-rate", tuning.learning_rate, "--batch-size", tuning.batch_size),
        *("--epochs", task.epochs, "--warmup-epochs", tuning.warmup_epochs),
        # The tiny world needs no colours changed, and shapes are told by their edges.
        *("--crop-scales", "--jitter", 0, "--grayscale", 0, "--no-mixing"),
        *("--checkpoint-every", 10**6, "--in-memory", "--device", "cpu", "--precision", "fp32"),
        *shots,
    )


def _extract(scale: DemoScale, store: Path, weights: Path, name: str, how: Command) -> Command:
    given = ("--dataset", DATASET, "--model", scale.model, "--pretrained", weights)
    return "extract", store, *given, "--name", name, *how


def _last(scale: DemoScale, task: _Task, out: Path, name: str) -> Path:
    """Checkpoint that a training leaves in a folder of its own."""
    num_clips = (task.shots or scale.train_clips) * task.num_classes
    settings = replace(scale.tuning, epochs=task.epochs)
    step = Order(num_videos=num_clips, settings=settings).num_steps
    return RunFolder(out / "systems" / name).weights_path(step)
