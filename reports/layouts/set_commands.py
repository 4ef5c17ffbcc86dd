"""The commands that make the feature sets, and the files, which commands of empty cells name.

S stands for the store, D for a data set, N for the last step of a training run in eight digits.
"""

from collections.abc import Iterator
from typing import NamedTuple

from reports.layouts import specs
from reports.layouts.cell_commands import (
    FEATURES_OF,
    TINY,
    Command,
    command,
    cost_file,
    feature_names,
    last_step,
    output,
)
from reports.paper.paper_settings import MODELS, paper_frames

_MODEL = ("--model", MODELS[-1])
_FUSION = specs.FUSION_PROTOCOL
# What is trained on, and the preset of `vifi train` that does it, per protocol. What is measured as
# a cost has learned something, no matter what.
_TRAIN_SPLITS = {
    "zero-shot": ("k400", "train"),
    "base-to-novel": ("D", "fs_base_s{seed}_train"),
    "few-shot": ("D", "train1_few_shot_{shots}"),
    "supervised": ("k400", "train"),
    _FUSION: ("D", "train1_few_shot_16"),
    "cost": ("D", "train1_few_shot_16"),
}
_TINY_SPLIT = "train_tiny"
_SHOTS = (2, 4, 8, 16)
_SEEDS = (1, 2, 3)
_PRESETS = {
    "zero-shot": "zero_shot_k400",
    "base-to-novel": "base_to_novel",
    "few-shot": "few_shot",
    "supervised": "supervised_k400",
    _FUSION: "fusion_ablation",
    "cost": "few_shot",
}
_PROMPT_PRESETS = {
    "base-to-novel": "prompt_base_to_novel",
    "few-shot": "prompt_few_shot",
    "cost": "prompt_few_shot",
}
_TRAINED = {"CLIP image-FT": ("--trains", "image"), "CLIP text-FT": ("--trains", "text")}
# Clips and crops of Table 4 where they are not 4 and 3. The paper has none for A6; its code
# averages 5 samplings of a centre crop (ju-chen/Efficient-Prompt).
_SUPERVISED_VIEWS = {"ActionCLIP": ("10", "3"), "A6": ("5", "1")}


class PaperRun(NamedTuple):
    """One training."""

    protocol: str
    method: str
    name: str
    """Of the feature set that it gives."""
    dataset: str
    """Data set that is trained on."""
    split: str
    shots: int | None = None
    is_bridged: bool = False
    """Whether it begins with what was tuned on Kinetics-400."""

    @property
    def out(self) -> str:
        """Where it is kept."""
        return output(self.protocol, self.dataset, self.name)


def _bridge(method: str = "ViFi-CLIP") -> PaperRun:
    """The training on Kinetics-400 that others begin with."""
    return PaperRun("zero-shot", method, FEATURES_OF[method], *_TRAIN_SPLITS["zero-shot"])


def source_commands(protocol: str, method: str, *, is_bridged: bool = False) -> dict[str, str]:
    """How what the commands name is made, by name; none for what only needs the model.

    Feature sets, and for `cost` the files of what a method has learned.
    """
    if protocol not in _TRAIN_SPLITS or method not in FEATURES_OF:
        return {}
    if protocol == "cost":
        made = _cost_sources(method)
    elif method == "Vanilla CLIP":
        name = FEATURES_OF[method]
        made = {name: [_extract("openai", name, protocol, method)]}
    else:
        made = {run.name: _source(run) for run in _runs(protocol, method, is_bridged)}
    return {name: " && ".join(command(*words) for words in steps) for name, steps in made.items()}


def _runs(protocol: str, method: str, is_bridged: bool) -> Iterator[PaperRun]:
    """Every training behind the numbers of a method."""
    dataset, split = _TRAIN_SPLITS[protocol]
    for shots in _SHOTS if protocol == "few-shot" else (None,):
        names = feature_names(protocol, method, dataset, shots, is_bridged=is_bridged)
        for seed, name in zip(_SEEDS, names, strict=False):
            drawn = split.format(seed=seed, shots=shots)
            yield PaperRun(protocol, method, name, dataset, drawn, shots, is_bridged)
    if protocol == _FUSION:
        (name,) = feature_names(protocol, method, TINY)
        yield PaperRun(protocol, method, name, TINY, _TINY_SPLIT)


def _cost_sources(method: str) -> dict[str, list[Command]]:
    """Files of weights; the other methods cost what the model does."""
    (name,) = feature_names("cost", method)
    run = PaperRun("cost", method, name, *_TRAIN_SPLITS["cost"])
    if method in specs.HEADS:
        return {cost_file(method): _train_head(run)}
    if method in specs.SYSTEMS:
        return {cost_file(method): [_tune(run)]}
    return {cost_file(method): _prompt(run)} if method == "VL prompting" else {}


def _source(run: PaperRun) -> list[Command]:
    if run.method in specs.HEADS:
        return _train_head(run)
    # Elsewhere one model is scored on several data sets, or one is tuned for each.
    target = run.dataset if run.protocol in (_FUSION, "supervised") else "D"
    extracted = _extract(last_step(run.out), run.name, run.protocol, run.method, target)
    if run.method == "VL prompting":
        return [*_prompt(run), extracted]
    if run.is_bridged:
        bridge = _bridge(run.method)
        return [_tune(bridge), _tune(run, last_step(bridge.out)), extracted]
    return [_tune(run), extracted]


def _tune(run: PaperRun, start: str = "openai") -> Command:
    options = _TRAINED.get(run.method, ())
    if run.method in specs.FUSION_METHODS:
        options = ("--fusion", specs.FUSION_METHODS[run.method])
    if run.method in specs.SYSTEMS:
        options = ("--system", specs.SYSTEMS[run.method])
    return (*_train(run, _PRESETS[run.protocol], start), *options)


def _prompt(run: PaperRun) -> list[Command]:
    """Prompts are learned on top of a model that was tuned on Kinetics-400."""
    bridge = _bridge()
    return [_tune(bridge), _train(run, _PROMPT_PRESETS[run.protocol], last_step(bridge.out))]


def _train(run: PaperRun, preset: str, start: str) -> Command:
    given = ("--dataset", run.dataset, "--split", run.split, *_MODEL, "--pretrained", start)
    shots = ("--shots", str(run.shots)) if run.shots else ()
    return "train", preset, "S", *given, "--out", run.out, *shots


def _extract(weights: str, name: str, protocol: str, method: str, dataset: str = "D") -> Command:
    sampling = ("--frames", str(paper_frames(protocol, method)))
    if protocol == "supervised":
        clips, crops = _SUPERVISED_VIEWS.get(method, ("4", "3"))
        sampling += ("--clips", clips, "--crops", crops)
    given = ("--dataset", dataset, *_MODEL, "--pretrained", weights, *sampling, "--name", name)
    return "extract", "S", *given


def _train_head(run: PaperRun) -> list[Command]:
    """On frozen features of the model as it is, or as it was tuned on Kinetics-400; applied to
    other data sets where it must be."""
    features, weights = FEATURES_OF["Vanilla CLIP"], "openai"
    bridge = _bridge()
    if run.is_bridged:
        features, weights = bridge.name, last_step(bridge.out)
    if run.protocol in ("supervised", "cost"):
        # Of other frames or views than elsewhere.
        features += f"-{run.protocol}-{paper_frames(run.protocol, run.method)}f"
    file = f"{run.out}.safetensors"
    trained = ("train-head", "S", "--dataset", run.dataset, "--features", features)
    trained += ("--split", run.split, "--head", FEATURES_OF[run.method])
    steps = [
        *([_tune(bridge)] if run.is_bridged else []),
        _extract(weights, features, run.protocol, run.method, run.dataset),
        (*trained, "--name", run.name, "--out", file),
    ]
    if run.protocol == "zero-shot":
        applied = ("train-head", "S", "--dataset", "D", "--features", features)
        steps.append(_extract("openai", features, run.protocol, run.method))
        steps.append((*applied, "--apply", file, "--name", run.name))
    return steps
