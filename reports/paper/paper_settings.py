"""The setting of the paper's numbers: its model, and how many classes compete.

Sections 4.1 and 4.2 of the paper, and its published lists of classes. Kinetics-600 is scored on
160 classes a split.
"""

import re

from harness.results.json_artefacts import Cost

_TRAINING = re.compile(r"(?:^|[^a-z])train")

# One architecture; the second name is OpenCLIP's for the activation that OpenAI's weights need.
MODELS = ("ViT-B-16", "ViT-B-16-quickgelu")
# Facts of its code: vanilla CLIP is given bare names, whatever was tuned one template.
PAPER_TEMPLATES = {
    "Vanilla CLIP": "{}",
    "CLIP image-FT": "a photo of a {}.",
    "CLIP text-FT": "a photo of a {}.",
    "ViFi-CLIP": "a photo of a {}.",
    "VL prompting": "{}.",
}
# Frames per view where a method's are others: Table 4 gives ActionCLIP 32, also for its cost.
_SUPERVISED_FRAMES = {"ActionCLIP": 32}
_CLASSES = {
    "k400": {"all": 400, "base": 200, "novel": 200},
    "k400-tiny": {"all": 400},
    "k600": {"all": 160},
    "hmdb51": {"all": 51, "base": 26, "novel": 25},
    "ucf101": {"all": 101, "base": 51, "novel": 50},
    "ssv2": {"all": 174, "base": 87, "novel": 87},
}


def paper_frames(protocol: str, method: str) -> int:
    """Frames per view of a method's numbers under a protocol of the paper, or of its `cost`."""
    return _SUPERVISED_FRAMES.get(method, 16) if protocol in ("supervised", "cost") else 32


def is_paper_cost(cost: Cost, method: str) -> bool:
    """Whether a measured cost is that of the paper's model and number of frames."""
    return cost.model in MODELS and cost.frames == paper_frames("cost", method)


def is_paper_setting(model: object, dataset: str, subset: str, num_classes: int) -> bool:
    """Whether a number may stand beside the paper's; an unknown model may not.

    `dataset` is the paper's short name of it, `subset` all, base or novel.
    """
    return model in MODELS and paper_classes(dataset, subset) == num_classes


def is_training_split(split: str) -> bool:
    """Whether the name of a split says that it is trained on: the paper has no number of one."""
    return _TRAINING.search(split.casefold()) is not None


def paper_classes(dataset: str, subset: str) -> int | None:
    """Classes that compete for the paper's numbers; None where it has none."""
    return _CLASSES.get(dataset, {}).get(subset)
