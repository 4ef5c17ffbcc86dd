"""Modules that a system of training adds to a CLIP, kept and read back with its weights.

A model's state dict has them below `visual.added.`, which counts in the digest of its image tower,
and below `added.`, which counts in that of its text tower. A checkpoint's header says whose they
are and how large, as `system`: `{"name": "actionclip", ...}`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from vifistore.errors import ModelError, first_few, short
from vifistore.models.actionclip.action_clip import (
    ACTIONCLIP,
    attach_head,
    system_in,
    view_facts,
)
from vifistore.models.actionclip.action_texts import ACTIONCLIP_SCALE
from vifistore.models.openclip_parts import Clip
from vifistore.models.xclip.xclip_modules import X_CLIP, attach_xclip, xclip_facts, xclip_in

IMAGE_PREFIX, TEXT_PREFIX = "visual.added.", "added."

# Gives a model the modules of these sizes, with their first weights or, where a state dict is
# given, for its weights; ModelError for sizes that cannot be, or that the state dict does not have.
Attach = Callable[[Clip, Mapping, Mapping[str, Tensor] | None], None]


def _sees_frames(clip: Clip, system: Mapping) -> dict:
    """Frames one by one, as the CLIP does without."""
    return {}


def _tells_nothing(state: Mapping[str, Tensor]) -> dict:
    """No weights without a header are of it."""
    return {}


@dataclass(frozen=True, kw_only=True)
class AddedSystem:
    """What is known of a system's modules."""

    attach: Attach
    found_in: Callable[[Mapping[str, Tensor]], dict] = field(default=_tells_nothing)
    """The system, with its sizes, of weights `[...]` that nothing else tells of; empty for those of
    another."""
    facts: Callable[[Clip, Mapping], dict] = field(default=_sees_frames)
    """What the encoder is with them, as fields of `OpenClipModel`: `view_tower`, `kind`,
    `num_frames`, `num_outputs`, `further`, `optional`, `texts_depend_on_video`, `video_texts`; none
    for one that sees frames one by one."""
    logit_scale: float = 0.0
    """What multiplies cosines when it is scored; 0 for the learned scale."""


ADDED_SYSTEMS: dict[str, AddedSystem] = {
    X_CLIP: AddedSystem(attach=attach_xclip, found_in=xclip_in, facts=xclip_facts),
    ACTIONCLIP: AddedSystem(
        attach=attach_head, found_in=system_in, facts=view_facts, logit_scale=ACTIONCLIP_SCALE
    ),
}


def added_in(state: Mapping[str, Tensor]) -> dict:
    """The system of weights `[...]` that come without a header; empty for a CLIP as it is."""
    found = (known.found_in(state) for known in ADDED_SYSTEMS.values())
    return next(filter(None, found), {})


def attach_added(clip: Clip, system: Mapping, state: Mapping[str, Tensor] | None = None) -> None:
    """Give a model the modules of a system, if any, for the weights `[...]` of `state` if given.

    Raises ModelError for a system that is not known, and for sizes that cannot be.
    """
    if not system:
        return
    name = system.get("name")
    if not isinstance(name, str) or name not in ADDED_SYSTEMS:
        raise ModelError(
            f"the checkpoint is of the system {short(repr(name))}, and this vifistore knows "
            f"{first_few(ADDED_SYSTEMS)}; install the version that it was trained with"
        )
    ADDED_SYSTEMS[name].attach(clip, system, state)
    clip.added_system = dict(system)


def system_of(clip: nn.Module) -> dict:
    """Whose modules a model has, and their sizes; empty for a CLIP as it is."""
    return dict(getattr(clip, "added_system", {}))


def encoder_facts(clip: Clip) -> dict:
    """What a model is as an encoder with the modules that it has: see `AddedSystem.facts`."""
    system = system_of(clip)
    return ADDED_SYSTEMS[system["name"]].facts(clip, system) if system else {}


def scale_of(system: Mapping, learned: float) -> float:
    """The scale that cosines are scored with, of the one that was learned."""
    return (ADDED_SYSTEMS[system["name"]].logit_scale if system else 0.0) or learned


def is_added(key: str) -> bool:
    """Whether a key of a state dict is of such a module."""
    return key.startswith((IMAGE_PREFIX, TEXT_PREFIX))
