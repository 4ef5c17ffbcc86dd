"""Descriptions instead of class names: their mean, their best, or matched to frames.

    descriptions            the unit mean of a class's texts, by the fusion of the plain score
    descriptions-max        the best of its texts
    descriptions-transport  matched to frames by optimal transport
    descriptions-warping    aligned with frames in the order in which they are written

The last three are fusions of their own (`harness/text_rules.py`), and take the place of the plain
score's. Averages of what a class looks like are Menon and Vondrick 2023 (Visual Classification via
Description from Large Language Models), who average probabilities' logits where here vectors are.
"""

from functools import partial

from harness.levers.lever import Given, Lever, Lifted, Need
from harness.scoring import score
from harness.text_rules import BEST_TEXT, OF_FRAMES, TIME_WARPING, TRANSPORT


def _described(fusion: str, given: Given) -> Lifted:
    assert given.described is not None, "it is among those that need them"
    name = fusion or given.fusion
    scores = score(given.videos, given.described, [name])[name]
    facts = {"text_set": given.described.text_set, "scored_by": f"{name} fusion"}
    return Lifted(scores=scores, facts=facts)


def _lever(fusion: str) -> Lever:
    needs: tuple[Need, ...] = (
        ("descriptions", "frames") if fusion in OF_FRAMES else ("descriptions",)
    )
    return Lever(score=partial(_described, fusion), needs=needs)


BY_DESCRIPTIONS = {
    "descriptions": _lever(""),
    "descriptions-max": _lever(BEST_TEXT),
    "descriptions-transport": _lever(TRANSPORT),
    "descriptions-warping": _lever(TIME_WARPING),
}
