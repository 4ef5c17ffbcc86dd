"""Prompt templates by name, for every --template: the sets that published models are scored with.

expand(("kinetics", "a clip of {}."))      # 29 templates
"""

from collections.abc import Sequence

from vifistore.errors import UnknownNameError
from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES

_SUBJECTS = ("photo", "video", "example", "demonstration")
_RELATIONS = ("", "a person ", "a person using ", "a person doing ", "a person during ")
_RELATIONS += ("a person performing ", "a person practicing ")

NAMED = {
    # ViFi-CLIP and the tunings it compares with (section 4.1); its vanilla CLIP gets bare names.
    "paper": ("a photo of a {}.",),
    "bare": ("{}",),
    # CLIP's own for Kinetics-700 (openai/CLIP, data/prompts.md), which Open-VCLIP takes too.
    "kinetics": tuple(f"a {s} of {r}{{}}." for s in _SUBJECTS for r in _RELATIONS),
    "actionclip": ACTIONCLIP_TEMPLATES,
}


def expand(templates: Sequence[str]) -> tuple[str, ...]:
    """Templates with every name replaced by its set, each once.

    Raises UnknownNameError for what is neither a name nor holds a place for the class name.
    """
    found = [template for given in templates for template in _set_of(given)]
    return tuple(dict.fromkeys(found))


def _set_of(given: str) -> tuple[str, ...]:
    if "{" in given:
        return (given,)
    if given not in NAMED:
        remedy = "Or give a template, {} standing for the class name."
        raise UnknownNameError("set of templates", given, NAMED, remedy)
    return NAMED[given]
