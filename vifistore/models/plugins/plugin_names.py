"""Which names of models are encoders of other packages. Imports none of them, and no torch.

    module:function     `function` of `module`, given what --pretrained says
    NAME                an entry point of the group `vifistore.encoders`, which says the same

What a store or a file of weights says is never run for that alone: it names code, as a pickle does.
An encoder that it names has to be one that an installed package registers, that the call itself
names, or that the variable VIFI_ENCODERS lists.
"""

import os
import re
from importlib.metadata import EntryPoint, entry_points

from vifistore.errors import ModelError, short

GROUP = "vifistore.encoders"
ALLOWED = "VIFI_ENCODERS"

# Not of transformers' models, `hf:`.
_PLACE = re.compile(r"(?!hf:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_called: set[str] = set()


def is_place(model: str) -> bool:
    """Whether a name of a model says `module:function`."""
    return bool(_PLACE.fullmatch(model))


def plugin_names() -> list[str]:
    """Names of the encoders that installed packages register."""
    return sorted(entry_points(group=GROUP).names)


def find_entry(model: str) -> EntryPoint | None:
    """The entry point of a name, or one made of `module:function`; None for any other."""
    if is_place(model):
        return EntryPoint(name=model, value=model, group=GROUP)
    return next(iter(entry_points(group=GROUP, name=model)), None)


def allow(model: str) -> None:
    """Remember that the call of this process names an encoder."""
    _called.add(model)


def require_allowed(model: str) -> None:
    """Raise ModelError for an encoder that a store or a file names, and nobody else."""
    if not is_place(model) or model in _called:
        return
    listed = {name.strip() for name in os.environ.get(ALLOWED, "").split(",")}
    registered = {entry.value for entry in entry_points(group=GROUP)}
    if model not in listed | registered:
        raise ModelError(
            f"the store or file says that its encoder is {short(model, 80)}, and code that a file "
            f"names is not run; if you know it, allow it by {ALLOWED}={short(model, 80)}, or "
            f"install it as an entry point of {GROUP}"
        )
