"""The `vifi` command that measures an empty cell, and those that make the feature sets it names.

S stands for the store, DIR for the results folder, D for a data set, K for a number of videos, N
for the last step of a training run. Splits are called as the lists that the paper's authors
published; features as reports.measurements recognises a method.
"""

import shlex
from collections.abc import Sequence

from reports.layouts import specs
from reports.paper.settings import COST_FRAMES, MODELS, PAPER_TEMPLATES

FEATURES_OF = {
    "Vanilla CLIP": "vanilla-clip",
    "CLIP image-FT": "image-ft",
    "CLIP text-FT": "text-ft",
    "ViFi-CLIP": "vifi-clip",
    "VL prompting": "vl-prompting",
    "ActionCLIP": "actionclip-transf",
    "A5": "a5",
    **{method: f"vifi-clip-{fusion}" for method, fusion in specs.FUSION_METHODS.items()},
}
_ZERO_SHOT_SPLITS = {
    "hmdb51": ("val1", "val2", "val3"),
    "ucf101": ("val1", "val2", "val3"),
    "k600": ("ZS_split1_K600_eval", "ZS_split2_K600_eval", "ZS_split3_K600_eval"),
}
_TINY = "k400-tiny"
_TEST_SPLIT = {"ssv2": "validation", "k400": "val", _TINY: "val"}
_MODEL = ("--model", MODELS[-1])
_FUSION = "ablation-fusion"
# What is trained on, and the preset of `vifi train` that does it, per protocol.
_TRAIN_SPLITS = {
    "zero-shot": ("k400", "train"),
    "base-to-novel": ("D", "fs_base_s{seed}_train"),
    "few-shot": ("D", "train1_few_shot_K"),
    "supervised": ("k400", "train"),
    _FUSION: ("D", "train1_few_shot_16"),
}
_PRESETS = {
    "zero-shot": "zero_shot_k400",
    "base-to-novel": "base_to_novel",
    "few-shot": "few_shot",
    "supervised": "supervised_k400",
    _FUSION: "fusion_ablation",
}
# The ablation's one dataset that is tuned on more than 16 videos of a class.
_TINY_LIST = (_TINY, "train_tiny")
_PROMPT_PRESETS = {"base-to-novel": "prompt_base_to_novel", "few-shot": "prompt_few_shot"}
_TRAINED = {"CLIP image-FT": ("--trains", "image"), "CLIP text-FT": ("--trains", "text")}
_HEADS = ("ActionCLIP", "A5")
# Prompts are learned on top of a model that was tuned on Kinetics-400.
_START = "vifi-clip-k400"

# The words of a command after `vifi`.
Command = tuple[str, ...]


def evaluate_command(
    protocol: str, dataset: str, *features: str, options: Sequence[str] = ()
) -> str:
    """Score feature sets (several for several seeds) by one protocol."""
    given = ("--dataset", dataset, "--features", *features, *options)
    return _command("evaluate", "S", protocol, *given, "--results", "DIR")


def ablate_command(dataset: str, *features: str, options: Sequence[str] = ()) -> str:
    """Score feature sets with every fusion."""
    given = ("--dataset", dataset, "--features", *features, *options)
    return _command("ablate", "S", *given, "--results", "DIR")


def cost_command(method: str) -> str:
    """Measure what a view costs."""
    features = FEATURES_OF.get(method, method)
    given = ("--frames", str(COST_FRAMES), "--features", features)
    head = ("--head", f"{features}.safetensors") if method in _HEADS else ()
    return _command("bench", "compute", *_MODEL, *given, *head, "--results", "DIR")


def paper_command(protocol: str, method: str, dataset: str, shots: int | None) -> str:
    """The command for one cell of the paper's tables; `method` may also be a feature set."""
    features = _features(protocol, method, dataset)
    options = {
        "zero-shot": ("--split", *_ZERO_SHOT_SPLITS.get(dataset, ())),
        "base-to-novel": (),
    }.get(protocol, ("--split", _TEST_SPLIT.get(dataset, "val1")))
    if protocol == specs.FUSION_PROTOCOL:
        return ablate_command(dataset, *features, options=options)
    if protocol == "few-shot":
        options = (*options, "--shots", str(shots))
    if method == "Vanilla CLIP":
        options = (*options, "--template", PAPER_TEMPLATES[method])
    return evaluate_command(protocol, dataset, *features, options=options)


def source_commands(protocol: str, method: str) -> dict[str, str]:
    """How the feature sets of a method are made, by name; none for what only needs the model."""
    if protocol not in _TRAIN_SPLITS or method not in FEATURES_OF:
        return {}
    made = {
        name: _source(protocol, method, name, _train_split(protocol, seed))
        for seed, name in enumerate(_features(protocol, method), start=1)
    }
    for name in set(_features(protocol, method, _TINY)) - set(made):
        made[name] = _source(protocol, method, name, _TINY_LIST)
    return {name: " && ".join(_command(*words) for words in steps) for name, steps in made.items()}


def _features(protocol: str, method: str, dataset: str = "") -> tuple[str, ...]:
    """Names of the feature sets of one number: base-to-novel is the mean of three runs."""
    name = FEATURES_OF.get(method, method)
    is_trained = method in FEATURES_OF and method != "Vanilla CLIP"
    if protocol == "base-to-novel" and is_trained:
        return tuple(f"{name}-s{seed}" for seed in (1, 2, 3))
    if protocol == _FUSION and is_trained and dataset == _TINY:
        return (f"{name}-tiny",)
    return (name,)


def _train_split(protocol: str, seed: int) -> tuple[str, str]:
    dataset, split = _TRAIN_SPLITS[protocol]
    return dataset, split.format(seed=seed)


def _source(protocol: str, method: str, name: str, place: tuple[str, str]) -> list[Command]:
    if method == "Vanilla CLIP":
        return [_extract("openai", name, protocol)]
    if method in _HEADS:
        return _train_head(protocol, method, name, place)
    start, first = "openai", []
    if method == "VL prompting":
        start = f"{_START}/N.safetensors"
        first = [_train("zero_shot_k400", _START, "openai", _TRAIN_SPLITS["zero-shot"])]
    options = _TRAINED.get(method, ())
    if method in specs.FUSION_METHODS:
        options = ("--fusion", specs.FUSION_METHODS[method])
    if protocol == "few-shot":
        options = (*options, "--shots", "K")
    preset = (_PROMPT_PRESETS if method == "VL prompting" else _PRESETS)[protocol]
    trained = (*_train(preset, name, start, place), *options)
    target = place[0] if protocol == _FUSION else "D"
    return [*first, trained, _extract(f"{name}/N.safetensors", name, protocol, target)]


def _train(preset: str, name: str, start: str, place: tuple[str, str]) -> Command:
    dataset, split = place
    given = ("--dataset", dataset, "--split", split, *_MODEL, "--pretrained", start, "--out", name)
    return "train", preset, "S", *given


def _extract(weights: str, name: str, protocol: str, dataset: str = "D") -> Command:
    supervised = ("--frames", "16", "--clips", "4", "--crops", "3")
    sampling = supervised if protocol == "supervised" else ("--frames", "32")
    given = ("--dataset", dataset, *_MODEL, "--pretrained", weights, *sampling, "--name", name)
    return "extract", "S", *given


def _train_head(protocol: str, method: str, name: str, place: tuple[str, str]) -> list[Command]:
    """On frozen features of the model as it is; applied to other data sets where it must be."""
    dataset, split = place
    given = ("--features", FEATURES_OF["Vanilla CLIP"])
    file = f"{name}.safetensors"
    trained = ("train-head", "S", "--dataset", dataset, *given, "--split", split)
    trained += ("--head", FEATURES_OF[method], "--name", name, "--out", file)
    if protocol != "zero-shot":
        return [trained]
    return [trained, ("train-head", "S", "--dataset", "D", *given, "--apply", file, "--name", name)]


def _command(*words: str) -> str:
    return shlex.join(["vifi", *words])
