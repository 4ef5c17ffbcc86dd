"""Other weights of one training run: blends with its start, its running average, its start.

    blend-0.5   half of the start, half of what was tuned (Wortsman et al. 2022, Robust fine-tuning
                of zero-shot models; Open-VCLIP, Weng et al. 2023)
    ema         the running average over steps (Izmailov et al. 2018, Averaging Weights Leads to
                Wider Optima, by a decay)
    start       what was tuned from

They are encoded anew, from the frame cache where there is one; scored they are here, with their own
texts, on the same videos as the tuned weights, whose score is the plain one.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from harness.levers.lever import Given, Lever, Lifted
from harness.scoring import checkpoint_of, known_checkpoint
from vifistore.store.features import Features

START = "start"


def kin_of(features: Features, others: Iterable[Features]) -> dict[str, Features]:
    """Those of `others` whose weights were made of the same run at the same step, or that it
    started from, by their kind; none for a set whose own weights are no tuned ones."""
    if known_checkpoint(features) is None:
        return {}
    own = checkpoint_of(features)
    if _kind(own) != "trained":
        return {}
    found: dict[str, Features] = {}
    for other in others:
        checkpoint = known_checkpoint(other) or {}
        is_of_run = own["parent"] and checkpoint.get("parent") == own["parent"]
        if checkpoint.get("digest") == own["parent"]:
            found.setdefault(START, other)
        elif is_of_run and checkpoint["step"] == own["step"] and _kind(checkpoint) != "trained":
            found.setdefault(_kind(checkpoint), other)
    return dict(sorted(found.items()))


def _kind(checkpoint: Mapping) -> str:
    return str((checkpoint.get("settings") or {}).get("kind", ""))


def weight_levers(kin: Mapping[str, Callable[[], Given]]) -> dict[str, Lever]:
    """One lever of each kind, of functions that score it."""
    return {
        f"weights-{kind}": Lever(score=partial(_of_kin, scored)) for kind, scored in kin.items()
    }


def _of_kin(scored: Callable[[], Given], given: Given) -> Lifted:
    found = scored()
    facts = {"features": found.videos.features.name, "feature_set": found.videos.features.id}
    scores = found.scores * (given.num_views / found.num_views)
    return Lifted(scores=scores, facts=facts)
