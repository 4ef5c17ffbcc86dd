"""Which pixels belong to weights: by their header, their tag, their maker, or the model's tags.

OpenCLIP keeps mean, std, interpolation and resize mode with every tag, and a file of weights loses
them: 58 of its 196 tags differ from what it takes for a file.
"""

from collections.abc import Mapping
from dataclasses import replace

from vifistore.cleaning import AS_IS
from vifistore.errors import ModelError
from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import TEXT_KEY
from vifistore.models.registry import open_clip
from vifistore.models.system_modules import system_of
from vifistore.models.wording import (
    BARE_TEMPLATE,
    PAPER_TEMPLATE,
    PROMPT_CLEANING,
    PROMPT_TEMPLATE,
)
from vifistore.store.identity import OPENCLIP, PAPER, TOWER_KEYS, Identity

FROM_HEADER = "as its header says"
_PARTS = tuple(key for key in TOWER_KEYS if key != "size")


def tower_config(clip: Clip) -> dict:
    """Size, mean, std, interpolation and resize mode of a model, as plain JSON values; no size
    where it sees no square."""
    return plain_config(open_clip.get_model_preprocess_cfg(clip))


def plain_config(found: Mapping) -> dict:
    """As `tower_config`, of the `preprocess_config` of an encoder."""
    size = found["size"]
    sides = {size} if isinstance(size, int) else set(size)
    config = {key: found[key] for key in _PARTS}
    config |= {key: [float(number) for number in config[key]] for key in ("mean", "std")}
    return {"size": sides.pop(), **config} if len(sides) == 1 else config


def from_header(clip: Clip, model: str, said: Identity, path: object) -> tuple:
    """Give a model the preprocessing that its header says; return its identity, and whose word
    the preprocessing is.

    A header from before there were any has none. Raises ModelError for one of another size.
    """
    is_own = said.preprocessing.get("family") == OPENCLIP
    own = said.preprocessing if is_own else said.preprocessing.get("own", {})
    if not set(_PARTS) <= own.keys():
        found, words = from_tags(clip, model)
        family = said.preprocessing.get("family", OPENCLIP)
        return replace(said, preprocessing=_of_family(family, clip), assumed=found.assumed), words
    if own.get("size", size := tower_config(clip).get("size")) != size:
        raise ModelError(
            f"the header of {path} speaks of squares of {own['size']} pixels, {model} sees {size}; "
            "save its tensors alone"
        )
    _give(clip, own)
    is_assumed = "preprocessing" in said.assumed
    return said, f"{FROM_HEADER}, where it is assumed" if is_assumed else FROM_HEADER


def at_size(said: Identity, clip: Clip) -> Identity:
    """What a header says, for its weights made to see pictures of another size."""
    facts, size = said.preprocessing, tower_config(clip).get("size")
    sized = facts | ({"size": size} if "size" in facts else {})
    if "size" in facts.get("own", {}):
        sized["own"] = {**facts["own"], "size": size}
    return replace(said, preprocessing=sized)


def from_tag(clip: Clip, model: str, tag: str) -> tuple[Identity, str]:
    """As `from_header`, for a model that OpenCLIP made of one of its tags."""
    known = Identity(preprocessing=_of_family(OPENCLIP, clip))
    return known, f"OpenCLIP's entry for {model} {tag}"


def from_tags(clip: Clip, model: str) -> tuple[Identity, str]:
    """As `from_header`, for weights that do not say it: that of the model's tags if they agree,
    else what OpenCLIP takes for a file."""
    tags = open_clip.list_pretrained_tags_by_model(model)
    entries = [open_clip.get_pretrained_cfg(model, tag) for tag in tags]
    distinct = {tuple(str(entry.get(key)) for key in _PARTS) for entry in entries}
    why = f"its tags of {model} differ" if tags else f"it has no tag of {model}"
    words = f"assumed: OpenCLIP's default, since {why}"
    if len(distinct) == 1:
        _give(clip, entries[0])
        words = f"which OpenCLIP has for every tag of {model}, since the file does not say"
    known = Identity(preprocessing=_of_family(OPENCLIP, clip), assumed=("preprocessing",))
    return known, words


def from_maker(clip: Clip, maker: str, state: dict) -> tuple[Identity, str]:
    """As `from_header`, for files whose maker's code says what they were trained with."""
    words = f"{maker}'s"
    if maker == "ActionCLIP":
        own = _of_family(OPENCLIP, clip)
        return Identity(preprocessing=own, templates=ACTIONCLIP_TEMPLATES), words
    if maker == "X-CLIP":
        frames = system_of(clip)["frames"]
        return Identity(
            preprocessing=_of_family(PAPER, clip),
            templates=(BARE_TEMPLATE,),
            cleaning=AS_IS,
            sampling={"rule": "segment-centre", "frames": frames},
        ), words
    if maker != "ViFi-CLIP":
        return Identity(preprocessing=_of_family(OPENCLIP, clip)), words
    has_prompts = TEXT_KEY in state
    known = Identity(
        preprocessing=_of_family(PAPER, clip),
        templates=(PROMPT_TEMPLATE if has_prompts else PAPER_TEMPLATE,),
        cleaning=PROMPT_CLEANING if has_prompts else AS_IS,
    )
    return known, words


def _of_family(family: str, clip: Clip) -> dict:
    own = tower_config(clip)
    if family == OPENCLIP:
        return {"family": family, **own}
    return {"family": family, **{k: own[k] for k in ("size",) if k in own}, "own": own}


def _give(clip: Clip, own: dict) -> None:
    known = open_clip.get_model_preprocess_cfg(clip)
    given = {key: own[key] for key in _PARTS if own.get(key) is not None}
    open_clip.set_model_preprocess_cfg(clip, {**known, **given})
