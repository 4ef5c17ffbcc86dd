"""The `vifi` command that measures an empty cell.

S stands for the store and DIR for the results folder. Splits are called as the lists that the
paper's authors published; features as reports.measurements recognises a method.
"""

import shlex

from reports.layouts import specs

FEATURES_OF = {
    "Vanilla CLIP": "vanilla-clip",
    "CLIP image-FT": "image-ft",
    "CLIP text-FT": "text-ft",
    "ViFi-CLIP": "vifi-clip",
    "VL prompting": "vl-prompting",
    **{method: f"vifi-clip-{fusion}" for method, fusion in specs.FUSION_METHODS.items()},
}
_ZERO_SHOT_SPLITS = {
    "hmdb51": ("val1", "val2", "val3"),
    "ucf101": ("val1", "val2", "val3"),
    "k600": ("ZS_split1_K600_eval", "ZS_split2_K600_eval", "ZS_split3_K600_eval"),
}
_TEST_SPLIT = {"ssv2": "validation", "k400": "val", "k400-tiny": "val"}


def evaluate_command(protocol: str, dataset: str, features: str, *options: str) -> str:
    """Score one feature set by one protocol."""
    given = ("--dataset", dataset, "--features", features, *options)
    return _command("evaluate", "S", protocol, *given, "--results", "DIR")


def ablate_command(dataset: str, *features: str) -> str:
    """Score feature sets with every fusion."""
    given = ("--dataset", dataset, "--features", *features)
    return _command("ablate", "S", *given, "--results", "DIR")


def paper_command(protocol: str, method: str, dataset: str, shots: int | None) -> str:
    """The command for one cell of the paper's tables; `method` may also be a feature set."""
    features = FEATURES_OF.get(method, method)
    split = ("--split", _TEST_SPLIT.get(dataset, "val1"))
    match protocol:
        case specs.FUSION_PROTOCOL:
            return ablate_command(dataset, features)
        case "zero-shot":
            return evaluate_command(
                protocol, dataset, features, "--split", *_ZERO_SHOT_SPLITS[dataset]
            )
        case "few-shot" if method != "Vanilla CLIP":
            return evaluate_command(protocol, dataset, features, *split, "--shots", str(shots))
        case "base-to-novel":
            return evaluate_command(protocol, dataset, features)
        case _:
            return evaluate_command(protocol, dataset, features, *split)


def _command(*words: str) -> str:
    return shlex.join(["vifi", *words])
