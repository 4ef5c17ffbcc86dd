"""What each of the paper's nine tables compares, and which of its rows can be measured here."""

from dataclasses import dataclass

FUSION_PROTOCOL = "ablation-fusion"
LEVER_PROTOCOL = "ablation-levers"
FUSION_METHODS = {
    "Decision-level fusion": "decision",
    "Image-level fusion": "image",
    "Embedding fusion": "embedding",
}
# What trains on frozen features; Table 4 calls the one work A6 that other tables call A5.
HEADS = ("A5", "A6")
# What `vifi train --system` trains.
SYSTEMS = {"ActionCLIP": "actionclip", "X-CLIP": "x-clip"}
_TUNED = ("CLIP image-FT", "CLIP text-FT", "ViFi-CLIP")
_COMPARED = ("Vanilla CLIP", *SYSTEMS, "A5", *_TUNED)
_PROMPTED = ("Vanilla CLIP", *SYSTEMS, "A5", "VL prompting")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One table of the paper."""

    number: int
    """Number of the table in the paper."""
    title: str
    """A few words."""
    caption: str
    """Setting of the paper's numbers."""
    protocol: str
    """Protocol of the result rows; `cost` for measured costs."""
    methods: tuple[str, ...]
    """Methods of the paper which can be measured here."""
    with_others: bool = False
    """Whether models that are none of the paper's get rows of their own."""
    is_bridged: bool = False
    """Whether every model was tuned on Kinetics-400 before it was tuned on the data set."""


SPECS = (
    Spec(
        number=1,
        title="Zero-shot (the paper's Table 1)",
        caption="Tuned on Kinetics-400; the paper's numbers are means over three splits.",
        protocol="zero-shot",
        methods=_COMPARED,
        with_others=True,
    ),
    Spec(
        number=2,
        title="Base to novel (the paper's Table 2)",
        caption="Tuned on 16 videos of each base class; HM is the harmonic mean of both.",
        protocol="base-to-novel",
        methods=_COMPARED,
        with_others=True,
    ),
    Spec(
        number=3,
        title="Few-shot (the paper's Table 3)",
        caption="Tuned on K videos of each class.",
        protocol="few-shot",
        methods=_COMPARED,
        with_others=True,
    ),
    Spec(
        number=4,
        title="Fully supervised (the paper's Table 4)",
        caption="Tuned and scored on Kinetics-400; views are clips × crops.",
        protocol="supervised",
        methods=(*SYSTEMS, "A6", *_TUNED),
        with_others=True,
    ),
    Spec(
        number=5,
        title="Where frames are merged (the paper's Table 5)",
        caption="Every model is scored with the fusion it was tuned with.",
        protocol=FUSION_PROTOCOL,
        methods=("Vanilla CLIP", *FUSION_METHODS),
    ),
    Spec(
        number=6,
        title="Cost of tuning (the paper's Table 6)",
        caption="The paper's speed is that of one A100.",
        protocol="cost",
        methods=(*SYSTEMS, "ViFi-CLIP"),
    ),
    Spec(
        number=7,
        title="Few-shot prompting (the paper's Table 7)",
        caption="Tuned on Kinetics-400 first, then prompted with K videos of each class.",
        protocol="few-shot",
        methods=_PROMPTED,
        is_bridged=True,
    ),
    Spec(
        number=8,
        title="Base-to-novel prompting (the paper's Table 8)",
        caption="Tuned on Kinetics-400 first; HM is the harmonic mean of base and novel.",
        protocol="base-to-novel",
        methods=_PROMPTED,
        is_bridged=True,
    ),
    Spec(
        number=9,
        title="Cost of prompting (the paper's Table 9)",
        caption="The paper's speed is that of one A100.",
        protocol="cost",
        methods=(*SYSTEMS, "A5", "VL prompting"),
    ),
)
