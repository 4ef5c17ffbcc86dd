"""`vifi ablate --against`: sets compared on the same videos, each scored with the fusion that it
was trained with, as the paper's Table 5 scores them."""

from collections.abc import Sequence
from dataclasses import replace

from harness.ablations import Ablation, fusion_matrix
from harness.checkpoint_facts import trained_fusion
from harness.comparison import Answers, Compared, answers_of, compare_answers
from harness.measuring import Scored
from harness.scoring import checkpoint_of
from vifi.scoring.scored_rows import choose_texts
from vifistore.store.features import Features

_UNTUNED = "embedding"


def own_differences(
    sets: Sequence[Features], others: Sequence[Features], split: str, settings: Ablation
) -> list[Compared]:
    """Each set with its own of the others, or all with the only one; none with itself.

    Raises what scoring raises.
    """
    if len(others) == 1:
        others = [*others] * len(sets)
    found = []
    for one, other in zip(sets if others else (), others, strict=True):
        if (one.id, one.checkpoint) != (other.id, other.checkpoint):
            ours, theirs = (_own_answers(each, split, settings) for each in (one, other))
            found.append(compare_answers(one.name, other.name, ours, theirs, any_fusion=True))
    return found


def _own_answers(features: Features, split: str, settings: Ablation) -> Answers:
    """What a set gets right when it is scored with the fusion it was trained with."""
    kept: list[Scored] = []
    fusion = trained_fusion(checkpoint_of(features)) or _UNTUNED
    texts = choose_texts(features, split, settings.templates, settings.cleaning)
    own = replace(settings, fusions=(fusion,), texts=texts, keep=kept.append)
    fusion_matrix([features], split, own)
    return answers_of(kept[0])
