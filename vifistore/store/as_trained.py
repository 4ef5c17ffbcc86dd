"""How a number was made otherwise than its checkpoint was trained."""

from collections.abc import Mapping, Sequence

from vifistore.cleaning import AS_IS, cleaning
from vifistore.store.identity import SHORTEST, TOWER_KEYS, Identity


def differences(
    identity: Identity,
    *,
    preprocessing: Mapping | None = None,
    frames: int = 0,
    templates: Sequence[str] = (),
    how: str = "",
    class_names: Sequence[str] = (),
) -> dict[str, str]:
    """What differs, each in words: preprocessing, frames, template, class_names.

    Parameters
    ----------
    preprocessing
        That of a recipe.
    frames
        Frames per view.
    templates, how, class_names
        Prompts, the cleaning of the names in them, and the names.

    What is not given, or not known of the training, differs in nothing.
    """
    found = {}
    if preprocessing and (told := _pixels(identity.preprocessing, preprocessing)):
        found["preprocessing"] = told
    if frames and identity.frames and frames != identity.frames:
        found["frames"] = f"{frames}, trained with {identity.frames}"
    if templates and identity.templates and tuple(templates) != identity.templates:
        found["template"] = f"{_shown(templates)}, trained with {_shown(identity.templates)}"
    if templates and identity.cleaning and _differ(how or AS_IS, identity.cleaning, class_names):
        found["class_names"] = f"{how or AS_IS}, trained with {identity.cleaning}"
    return found


def contradictions(first: Identity, second: Identity) -> list[str]:
    """What both state of a training, and not as the same."""
    names = ("preprocessing", "templates", "cleaning", "sampling")
    assumed = {*first.assumed, *second.assumed}
    pairs = {n: (getattr(first, n), getattr(second, n)) for n in names if n not in assumed}
    return [name for name, (one, two) in pairs.items() if one and two and _contradict(one, two)]


def _contradict(one: object, two: object) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return any(_plain(one[key]) != _plain(two[key]) for key in one.keys() & two.keys())
    return one != two


def is_same_preprocessing(trained: Mapping, used: Mapping) -> bool:
    """Whether a preprocessing of an identity is that of a recipe, as far as both are known."""
    return not _pixels(trained, used)


def _pixels(trained: Mapping, used: Mapping) -> str:
    """Families that differ, or parts that do."""
    if not trained:
        return ""
    if trained["family"] != used.get("name"):
        return f"{used.get('name')}, trained with {trained['family']}"
    plain = {"resize_mode": SHORTEST, **used}
    parts = [
        key.replace("_", " ")
        for key in TOWER_KEYS
        if key in trained and key in plain and _plain(plain[key]) != _plain(trained[key])
    ]
    return f"another {', '.join(parts)} than trained with" if parts else ""


def _plain(value: object) -> object:
    return list(value) if isinstance(value, list | tuple) else value


def _differ(first: str, second: str, names: Sequence[str]) -> bool:
    """Whether two cleanings make other words of these names; without names, whether they may."""
    if not names:
        return first != second
    return any(cleaning(first)(name) != cleaning(second)(name) for name in names)


def _shown(templates: Sequence[str]) -> str:
    # Whole, as `first_few` would not have it: two may differ at their ends alone.
    more = f" and {len(templates) - 1} more" if len(templates) > 1 else ""
    return f"“{templates[0]}”{more}"
