"""Modules that a system of training adds to a CLIP, kept and read back with its weights.

A model's state dict has them below `visual.added.`, which counts in the digest of its image tower,
and below `added.`, which counts in that of its text tower. A checkpoint's header says whose they
are and how large, as `system`: `{"name": "actionclip", ...}`.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from vifistore.errors import ModelError, first_few, short
from vifistore.models.openclip_parts import Clip

IMAGE_PREFIX, TEXT_PREFIX = "visual.added.", "added."

# Name of a system -> what gives a model its modules of these sizes, with their first weights or,
# where a state dict is given, for its weights; ModelError for sizes that cannot be, or that the
# state dict does not have.
Attach = Callable[[Clip, Mapping, Mapping[str, Tensor] | None], None]
ATTACH: dict[str, Attach] = {}


def attach_added(clip: Clip, system: Mapping, state: Mapping[str, Tensor] | None = None) -> None:
    """Give a model the modules of a system, if any, for the weights `[...]` of `state` if given.

    Raises ModelError for a system that is not known, and for sizes that cannot be.
    """
    if not system:
        return
    name = system.get("name")
    if not isinstance(name, str) or name not in ATTACH:
        raise ModelError(
            f"the checkpoint is of the system {short(repr(name))}, and this vifistore knows "
            f"{first_few(ATTACH)}; install the version that it was trained with"
        )
    ATTACH[name](clip, system, state)
    remember_system(clip, system)


def remember_system(clip: Clip, system: Mapping) -> None:
    """Note whose modules a model has, for `system_of`."""
    clip.added_system = dict(system)


def system_of(clip: nn.Module) -> dict:
    """Whose modules a model has, and their sizes; empty for a CLIP as it is."""
    return dict(getattr(clip, "added_system", {}))


def is_added(key: str) -> bool:
    """Whether a key of a state dict is of such a module."""
    return key.startswith((IMAGE_PREFIX, TEXT_PREFIX))
