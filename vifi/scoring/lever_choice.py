"""From flags to levers: descriptions are read, and encoded where the store lacks them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.followed_texts import follow_videos, refuse_followed
from harness.levers.described_classes import BY_DESCRIPTIONS
from harness.levers.ensembles import ENSEMBLES
from harness.levers.kin_weights import kin_of
from harness.levers.known_levers import ALL, WEIGHTS
from harness.levers.wanted_levers import Levers
from harness.scoring import checkpoint_of
from harness.text_choice import find_descriptions
from vifi.scoring.scored_rows import choose_texts
from vifistore.errors import UsageError
from vifistore.extract.run_figures import kept_runs
from vifistore.store import open_store
from vifistore.store.described import Descriptions, read_descriptions, texts_in_order
from vifistore.store.features import Features

logger = logging.getLogger("vifi")


@dataclass(frozen=True, kw_only=True)
class LeverArguments:
    """Flags of levers, of the verbs that score."""

    features: tuple[str, ...] = ()
    lever: tuple[str, ...] = ()
    """What to score beside the plain score by class names, each by itself: mutual-softmax,
    test-time-cache (both transductive); with --descriptions descriptions, descriptions-max,
    descriptions-transport, descriptions-warping; with --ensemble-with ensemble-embedding,
    ensemble-logit, ensemble-probability; with --validation-split temperature; by their frames
    frames-on-topic, frames-moving, frames-sharp, frames-by-text; of tuned weights, with others of
    their run (blends, averages, their start) among --features, weights; or all."""
    descriptions: Path | None = None
    """JSON file {class: [texts]} that levers take instead of class names; without --lever all four
    of them. Encoded if the store lacks them."""
    ensemble_with: tuple[str, ...] = ()
    """Feature sets that join each of --features in ensembles; without --lever all three of them."""
    validation_split: str = ""
    """Split whose labels choose the weights of ensembles, which are equal without it, and the
    temperature; refused where it shows a video that is scored."""


NO_LEVERS: dict[str, Any] = {
    **{"lever": (), "descriptions": None, "ensemble_with": (), "validation_split": ""}
}
"""Fields of a call that scores no lever."""


def asks_for_levers(wanted: LeverArguments) -> bool:
    """Whether flags name a lever, or what levers are made of."""
    return bool(wanted.lever or wanted.descriptions or wanted.ensemble_with)


def asked_levers(
    features: Features, split: str, wanted: LeverArguments, templates: Sequence[str], how: str
) -> Levers:
    """The levers of a feature set; without names all that take the descriptions and the sets given.

    Texts of these sets are of `templates`, with class names cleaned by `how`, and encoded where the
    store lacks them. Raises UsageError for descriptions that cannot be read, lack a class of the
    split or cannot be compared with frames.
    """
    if not asks_for_levers(wanted):
        return Levers()
    described = wanted.descriptions and read_descriptions(wanted.descriptions)
    others = [features.dataset.features(name) for name in wanted.ensemble_with]
    kin = {}
    if not {WEIGHTS, ALL}.isdisjoint(wanted.lever):
        kin = kin_of(features, map(features.dataset.features, wanted.features))
    if WEIGHTS in wanted.lever and not kin:
        told = "%s has no lever weights: no blend, average or start of its run is among --features"
        logger.warning(told, features.name)
    for other in (*others, *kin.values()):
        choose_texts(other, split, templates, how)
    implied = (BY_DESCRIPTIONS if described else (), ENSEMBLES if others else ())
    return Levers(
        names=wanted.lever or tuple(name for names in implied for name in names),
        descriptions=_described_texts(features, split, described) if described else "",
        ensemble_with=tuple(others),
        validation_split=wanted.validation_split,
        kin=kin,
        encode_seconds=_encode_seconds(kin),
    )


def _encode_seconds(kin: Mapping[str, Features]) -> dict[str, float]:
    """What encoding each set took on this machine, by the name of its lever."""
    seconds: dict[str, float] = {}
    for kind, features in kin.items():
        runs = kept_runs(features.store.cache_folder)
        own = [run for run in runs if run.get("id") == features.id and run.get("encoded")]
        if times := [run["seconds"] for run in own if isinstance(run.get("seconds"), int | float)]:
            seconds[f"weights-{kind}"] = round(sum(times), 3)
    return seconds


def _described_texts(features: Features, split: str, described: Descriptions) -> str:
    """Id of the text set of the classes of a split, encoded unless the store has it."""
    checkpoint, store = checkpoint_of(features), features.store
    if follow_videos(checkpoint):
        refuse_followed(features, "descriptions need")
    if "head" in (checkpoint["settings"] or {}):
        raise UsageError(
            f"{features.name} is of a head, which is scored with class names alone; leave out "
            "--descriptions"
        )
    class_names = features.dataset.split(split).class_names
    texts_in_order(class_names, described)
    if known := find_descriptions(store, checkpoint, class_names, described):
        return known

    from vifistore.extract.class_texts import ensure_descriptions, reload_checkpoint

    loaded = reload_checkpoint(checkpoint)
    return ensure_descriptions(open_store(store.path, mode="a"), loaded, class_names, described)
