"""The `vifi` command that measures an empty cell.

S stands for the store, DIR for the results folder. Splits are called as the lists that the paper's
authors published; features as reports.measurements recognises a method. How these come about is in
reports.layouts.set_commands.
"""

from collections.abc import Sequence

from reports.layouts import specs
from reports.measurements import Measurement, features_of
from reports.paper.paper_settings import MODELS, PAPER_TEMPLATES, paper_frames
from vifistore.errors import shell

FEATURES_OF = {
    "Vanilla CLIP": "vanilla-clip",
    "CLIP image-FT": "image-ft",
    "CLIP text-FT": "text-ft",
    "ViFi-CLIP": "vifi-clip",
    "VL prompting": "vl-prompting",
    **specs.SYSTEMS,
    "A5": "a5",
    "A6": "a6",
    **{method: f"vifi-clip-{fusion}" for method, fusion in specs.FUSION_METHODS.items()},
}
_ZERO_SHOT_SPLITS = {
    "hmdb51": ("val1", "val2", "val3"),
    "ucf101": ("val1", "val2", "val3"),
    "k600": ("ZS_split1_K600_eval", "ZS_split2_K600_eval", "ZS_split3_K600_eval"),
}
# The one dataset of the fusion ablation that is tuned on more than 16 videos of a class.
TINY = "k400-tiny"
_TEST_SPLIT = {"ssv2": "validation", "k400": "val", TINY: "val"}
# The fusion of every protocol that does not ask for others.
_DEFAULT_FUSION = "embedding"
# Between the templates of a result row.
_AND = " | "

# The words of a command after `vifi`.
Command = tuple[str, ...]


def evaluate_command(
    protocol: str, dataset: str, *features: str, options: Sequence[str] = ()
) -> str:
    """Score feature sets (several for several seeds) by one protocol."""
    given = ("--dataset", dataset, "--features", *features, *options)
    return command("evaluate", "S", protocol, *given, "--results", "DIR")


def ablate_command(dataset: str, *features: str, options: Sequence[str] = ()) -> str:
    """Score feature sets with every fusion."""
    given = ("--dataset", dataset, "--features", *features, *options)
    return command("ablate", "S", *given, "--results", "DIR")


def remaining_fusions_command(own: Sequence[Measurement], fusions: Sequence[str]) -> str:
    """Score the model of `own`, results of one row and data set, with further fusions."""
    row = own[0].row
    # Several templates would be scored one by one as well.
    template = () if _AND in row.template else _template_options(own)
    options = (*_split_options(own), *template, "--fusion", *fusions)
    return ablate_command(row.dataset, *features_of(row), options=options)


def repeat_command(
    protocol: str, dataset: str, own: Sequence[Measurement], others: Sequence[Measurement]
) -> str:
    """Score the model of `own`, results of one row, on a data set where `others` were scored."""
    row = own[0].row
    there = [m for m in others if m.row.dataset == dataset]
    options = _half_options(there) if protocol == "base-to-novel" else _split_options(there)
    if row.classifier != "text":
        options += ("--classifier", row.classifier)
        splits = [m.row.train_split for m in there if m.row.train_split]
        options += ("--train-split", splits[-1]) if splits else ()
    elif len({m.row.template for m in others if m.row.classifier == "text"}) > 1:
        options += _template_options(own)
    if row.fusion != _DEFAULT_FUSION:
        options += ("--fusion", row.fusion)
    return evaluate_command(protocol, dataset, *features_of(row), options=options)


def _split_options(measured: Sequence[Measurement]) -> Command:
    """The split of the last result; of a mean over splits all of them."""
    return "--split", *measured[-1].row.split.split("+")


def _half_options(measured: Sequence[Measurement]) -> Command:
    halves = {m.row.subset: m.row.split for m in measured if m.row.subset in ("base", "novel")}
    return tuple(word for half in halves for word in (f"--{half}-split", halves[half]))


def _template_options(measured: Sequence[Measurement]) -> Command:
    every = filter(None, measured[0].row.template.split(_AND))
    return tuple(word for template in every for word in ("--template", template))


def cost_command(method: str) -> str:
    """Measure what a view costs with a method of the paper."""
    learned = {
        **{name: ("--head", cost_file(name)) for name in specs.HEADS},
        **{name: ("--pretrained", cost_file(name)) for name in (*specs.SYSTEMS, "VL prompting")},
    }.get(method, ())
    frames = paper_frames("cost", method)
    return _bench_command(MODELS[-1], frames, FEATURES_OF.get(method, method), *learned)


def own_cost_command(measurement: Measurement) -> str:
    """Measure what a view costs with the model of a result; empty where that is not known."""
    model = measurement.row.provenance.get("model")
    if not isinstance(model, str):
        return ""
    return _bench_command(model, measurement.row.num_frames, measurement.name)


def _bench_command(model: str, frames: int, features: str, *learned: str) -> str:
    given = ("--model", model, "--frames", str(frames), "--features", features, *learned)
    return command("bench", "compute", *given, "--results", "DIR")


def cost_file(method: str) -> str:
    """What a method has learned: the paper's costs are of fewer frames than most of its numbers."""
    out = output("cost", "D", *feature_names("cost", method))
    return f"{out}.safetensors" if method in specs.HEADS else last_step(out)


def output(protocol: str, dataset: str, name: str) -> str:
    """Where the training of a model is kept; no two trainings share a place."""
    return f"{protocol}/{dataset}/{name}"


def last_step(folder: str) -> str:
    """Weights of the last step of a training run."""
    return f"{folder}/step-N.safetensors"


def feature_names(
    protocol: str,
    method: str,
    dataset: str = "",
    shots: int | None = None,
    *,
    is_bridged: bool = False,
) -> tuple[str, ...]:
    """Names of the feature sets of one number: base-to-novel is the mean of three runs.

    What was tuned on Kinetics-400 first is another model; learned prompts always are of such.
    """
    name = FEATURES_OF.get(method, method)
    name += "-bridged" if is_bridged and method in (*specs.SYSTEMS, *specs.HEADS) else ""
    if method not in FEATURES_OF or method == "Vanilla CLIP":
        return (name,)
    if protocol == "base-to-novel":
        return tuple(f"{name}-s{seed}" for seed in (1, 2, 3))
    if protocol == "few-shot":
        return (f"{name}-k{shots}",)
    if protocol == "cost" or (protocol == "supervised" and method in specs.HEADS):
        # Of other frames or views than elsewhere.
        return (f"{name}-{protocol}",)
    is_tiny = (protocol, dataset) == (specs.FUSION_PROTOCOL, TINY)
    return (f"{name}-tiny",) if is_tiny else (name,)


def paper_command(
    protocol: str,
    method: str,
    dataset: str,
    shots: int | None,
    features: Sequence[str] = (),
    *,
    is_bridged: bool = False,
) -> str:
    """The command for one cell of the paper's tables; `features` are those of another model."""
    names = feature_names(protocol, method, dataset, shots, is_bridged=is_bridged)
    features = features or names
    if (protocol, method) == ("few-shot", "Vanilla CLIP"):
        # What was tuned on no video has no shots: it is scored once, for every K.
        template = ("--template", PAPER_TEMPLATES[method])
        options = ("--split", _TEST_SPLIT.get(dataset, "val1"), *template)
        return evaluate_command("zero-shot", dataset, *features, options=options)
    options = {
        "zero-shot": ("--split", *_ZERO_SHOT_SPLITS.get(dataset, ())),
        "base-to-novel": (),
    }.get(protocol, ("--split", _TEST_SPLIT.get(dataset, "val1")))
    if protocol == specs.FUSION_PROTOCOL:
        return ablate_command(dataset, *features, options=options)
    if protocol == "few-shot":
        options = (*options, "--shots", str(shots))
    if method == "ActionCLIP":
        options = (*options, "--fusion", "each-template")
    if method == "Vanilla CLIP":
        options = (*options, "--template", PAPER_TEMPLATES[method])
    return evaluate_command(protocol, dataset, *features, options=options)


def command(*words: str) -> str:
    """The words after `vifi` as a line for a shell."""
    return shell("vifi", *words)
