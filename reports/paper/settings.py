"""The setting of the paper's numbers: its model, and how many classes compete.

Sections 4.1 and 4.2 of the paper, and its published lists of classes. Kinetics-600 is scored on
160 classes a split.
"""

# One architecture; the second name is OpenCLIP's for the activation that OpenAI's weights need.
MODELS = ("ViT-B-16", "ViT-B-16-quickgelu")
_CLASSES = {
    "k400": {"all": 400, "base": 200, "novel": 200},
    "k400-tiny": {"all": 400},
    "k600": {"all": 160},
    "hmdb51": {"all": 51, "base": 26, "novel": 25},
    "ucf101": {"all": 101, "base": 51, "novel": 50},
    "ssv2": {"all": 174, "base": 87, "novel": 87},
}


def is_paper_setting(model: object, dataset: str, subset: str, num_classes: int) -> bool:
    """Whether a number may stand beside the paper's; an unknown model may not.

    `dataset` is the paper's short name of it, `subset` all, base or novel.
    """
    return model in MODELS and _CLASSES.get(dataset, {}).get(subset) == num_classes
