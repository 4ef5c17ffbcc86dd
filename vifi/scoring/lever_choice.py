"""From flags to levers: descriptions are read, and encoded where the store lacks them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.followed_texts import follow_videos, refuse_followed
from harness.levers.described_classes import BY_DESCRIPTIONS
from harness.levers.wanted_levers import Levers
from harness.scoring import checkpoint_of
from harness.text_choice import find_descriptions
from vifistore.errors import UsageError
from vifistore.store import open_store
from vifistore.store.described import Descriptions, read_descriptions, texts_in_order
from vifistore.store.features import Features


@dataclass(frozen=True, kw_only=True)
class LeverArguments:
    """Flags of levers, of the verbs that score."""

    lever: tuple[str, ...] = ()
    """What to score beside the plain score by class names, each by itself: dual-softmax,
    test-time-cache (both transductive); with --descriptions descriptions, descriptions-max,
    descriptions-transport, descriptions-warping; or all."""
    descriptions: Path | None = None
    """JSON file {class: [texts]} that levers take instead of class names; without --lever all four
    of them. Encoded if the store lacks them."""


NO_LEVERS: dict[str, Any] = {"lever": (), "descriptions": None}
"""Fields of a call that scores no lever."""


def asked_levers(features: Features, split: str, wanted: LeverArguments) -> Levers:
    """The levers of a feature set; of descriptions without names all that take them.

    Raises UsageError for descriptions that cannot be read, lack a class of the split or cannot be
    compared with frames.
    """
    if wanted.descriptions is None:
        return Levers(names=wanted.lever)
    described = read_descriptions(wanted.descriptions)
    return Levers(
        names=wanted.lever or tuple(BY_DESCRIPTIONS),
        descriptions=_described_texts(features, split, described),
    )


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
