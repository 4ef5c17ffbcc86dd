"""Where the weights of a CLIP are in what a file holds, whatever was put around and beside them.

Trainers put a state dict into a dict (`state_dict`, `model`, `model_state_dict`, ...), and wrappers
put their own names before those of its tensors (`module.`, `_orig_mod.`, `model.clip.`, ...), in
any order and depth. A tensor of a CLIP is known by the first of its own names in a key; what stands
before it is the place where the CLIP is. A file may hold several: averages over training (EMA),
teachers. And it may hold tensors that are no part of one.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

from torch import Tensor

from vifistore.errors import ModelError, first_few, short

logger = logging.getLogger("vifi")

_IMAGE = ("visual.", "image_encoder.", "vision_model.", "visual_projection.")
_SCALES = ("logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size")
_CLIP_KEY = re.compile(
    r"(|.+?\.)"
    r"((?:visual|image_encoder|vision_model|visual_projection|"
    r"text|text_decoder|text_encoder|text_model|prompt_learner|ln_final|transformer\.resblocks|"
    r"mit|prompts_generator|prompts_visual_ln|prompts_visual_layernorm)\..+|prompts_visual_proj\w*|"
    r"token_embedding\.weight|positional_embedding|text_projection(?:\.weight|\.bias)?|attn_mask|"
    rf"prompts\.vectors|added\..+|{'|'.join(_SCALES)})"
)
_AVERAGE = re.compile(r"(?:.+_)?(?:ema|shadow|swa|averaged?)(?:[_\d].*)?")
_TEACHER = re.compile(r"(?:.+_)?(?:teacher|momentum)(?:[_\d].*)?")
# Of these no embedding depends: losses, classifiers behind an encoder, counters, and caches.
_BESIDE = re.compile(
    r"heads?|classifier|fc|fc_cls|cls_head|num_updates|decay|"
    r"text_features|text_embeddings|class_embeddings|zeroshot_weights|"
    r"(?:.+_)?(?:criterion|loss|losses|loss_fn|metrics?|acc|accuracy|optimi[sz]er|scheduler|scaler|"
    r"queue|queue_ptr|averaged)|(?:criterion|loss|optimi[sz]er|queue|train|val|test)_.+"
)
# Deeper lies no state dict; a pickle may be nested without end.
_DEPTH = 6

_OTHER_KINDS = (
    (
        r"(?:^|[._])(?:lora_\w+|hada_w\w+|ia3_\w+)(?:\.|$)",
        "is an adapter (LoRA, PEFT): changes to a model and not the model; merge it into that one "
        "first (merge_and_unload of peft) and give what that saves",
    ),
    (
        r"(?:^|\.)(?:diffusion_model|down_blocks|mid_block|up_blocks)\.",
        "holds a diffusion model; give the file of a CLIP",
    ),
)


class _Entry(NamedTuple):
    """One tensor: the dicts that it is in, its key, itself."""

    place: tuple[str, ...]
    key: str
    tensor: Tensor


@dataclass(kw_only=True)
class _Group:
    """The tensors of one CLIP: the dicts that they are in, and what stands before their keys."""

    place: tuple[str, ...]
    prefix: str
    state: dict[str, Tensor] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Where it is, in a message."""
        return ".".join([*self.place, *self.prefix.split(".")]).strip(".") or "the top"

    @property
    def has_images(self) -> bool:
        return any(key.startswith(_IMAGE) for key in self.state)

    @property
    def has_texts(self) -> bool:
        return any(not key.startswith(_IMAGE) and key not in _SCALES for key in self.state)

    def is_called(self, pattern: re.Pattern) -> bool:
        """Whether a part of its place is called so."""
        parts = ".".join([*self.place, self.prefix]).lower().split(".")
        return any(map(pattern.fullmatch, parts))


def clip_weights(content: object, path: Path, *, ema: bool = False) -> dict[str, Tensor]:
    """The tensors [...] of the one CLIP in what a file holds, under its own names.

    `ema` takes the average over training instead of the weights that were trained. What is left
    out is said. Raises ModelError if there is no CLIP, or it is not clear which one is meant.
    """
    entries = list(_entries(content, (), set()))
    _refuse_other_kinds(path, content, entries)
    groups, others = _grouped(entries)
    chosen = _chosen(path, groups, ema=ema)
    left = Counter()
    for group in groups:
        is_told = group is chosen or (group.is_called(_AVERAGE) and not ema)
        if not is_told and not _is_merged(path, chosen, group):
            left[group.name] += len(group.state)
    for entry in others:
        own = entry.key.removeprefix(chosen.prefix)
        first = own.partition(".")[0]
        if entry.place != chosen.place:
            left[entry.place[0] if entry.place else first] += 1
        elif any(p.fullmatch(first.lower()) for p in (_BESIDE, _AVERAGE, _TEACHER)):
            left[first] += 1
        else:
            # Perhaps a part of the model: whoever compares it with the architecture refuses it.
            chosen.state[own] = entry.tensor
    if left:
        told = (f"{name} ({count} tensors)" for name, count in left.most_common())
        logger.info("left out of %s: %s", short(path.name), first_few(told, 5, 50))
    return chosen.state


def _entries(content: object, place: tuple[str, ...], seen: set[int]) -> Iterator[_Entry]:
    if not isinstance(content, dict) or len(place) > _DEPTH or id(content) in seen:
        return
    seen.add(id(content))
    for key, value in content.items():
        if isinstance(value, Tensor) and isinstance(key, str):
            yield _Entry(place, key, value)
        else:
            yield from _entries(value, (*place, str(key)), seen)


def _refuse_other_kinds(path: Path, content: object, entries: list[_Entry]) -> None:
    name = short(path.name)
    for pattern, told in _OTHER_KINDS:
        if any(re.search(pattern, entry.key) for entry in entries):
            raise ModelError(f"{name} {told}")
    if not entries:
        raise ModelError(f"{name} holds no state dict; save one, for instance as `state_dict`")
    if isinstance(content, dict) and content.keys() >= {"state", "param_groups"}:
        raise ModelError(f"{name} holds the state of an optimiser alone; give the weights")


def _grouped(entries: Iterable[_Entry]) -> tuple[list[_Group], list[_Entry]]:
    """The tensors of each CLIP, and those of none."""
    groups: dict[tuple, _Group] = {}
    others = []
    for entry in entries:
        match = _CLIP_KEY.fullmatch(entry.key)
        if match is None:
            others.append(entry)
            continue
        prefix, own = match.groups()
        group = groups.setdefault((entry.place, prefix), _Group(place=entry.place, prefix=prefix))
        group.state[own] = entry.tensor
    return list(groups.values()), others


def _chosen(path: Path, groups: list[_Group], *, ema: bool) -> _Group:
    whole = [group for group in groups if group.has_images and group.has_texts]
    averages = [group for group in whole if group.is_called(_AVERAGE)]
    trained = [group for group in whole if not group.is_called(_AVERAGE)]
    students = [group for group in trained if not group.is_called(_TEACHER)]
    trained = students or trained
    wanted = averages if ema else trained or averages
    if len(wanted) == 1:
        _tell_of_average(path, wanted[0], averages, ema=ema)
        return wanted[0]
    name = short(path.name)
    if len(wanted) > 1:
        places = first_few((group.name for group in wanted), length=40)
        raise ModelError(f"{name} holds {len(wanted)} CLIPs ({places}); save the right one alone")
    if ema and trained:
        raise ModelError(f"{name} holds no average of its weights (EMA); leave --ema-weights out")
    _refuse_parts(name, groups)


def _refuse_parts(name: str, groups: list[_Group]) -> NoReturn:
    for has, tower in (("has_images", "an image tower"), ("has_texts", "a text tower")):
        parts = [group for group in groups if getattr(group, has)]
        if len(parts) == len(groups) == 1:
            raise ModelError(f"{name} holds {tower} alone; give a file that has both towers")
    towers = [group.name for group in groups if group.has_images or group.has_texts]
    if towers:
        raise ModelError(
            f"{name} holds the parts of a CLIP in several places ({first_few(towers, length=40)}); "
            "save it as one state dict"
        )
    raise ModelError(
        f"{name} holds tensors, but none of a CLIP's two towers; give the weights of a CLIP model"
    )


def _tell_of_average(path: Path, chosen: _Group, averages: list[_Group], *, ema: bool) -> None:
    name, place = short(path.name), short(chosen.name)
    if chosen.is_called(_TEACHER):
        logger.warning("%s holds the weights of a teacher alone, in %s", name, place)
    if averages and chosen not in averages:
        told = first_few((group.name for group in averages), length=40)
        logger.warning(
            "%s also holds an average of its weights over training (EMA, in %s); the trained ones "
            "are taken, in %s. --ema-weights takes the average",
            *(name, told, place),
        )
    elif averages and ema:
        logger.info("%s: the average over training (EMA) is taken, in %s", name, place)
    elif averages:
        logger.warning("%s holds an average over training (EMA) alone, in %s", name, place)


def _is_merged(path: Path, chosen: _Group, group: _Group) -> bool:
    """Whether a group is of scales that lie beside the CLIP, and now are in it.

    Raises ModelError where it has another one: which of them the scores were made with is unknown.
    """
    if group.place != chosen.place or group.has_images or group.has_texts:
        return False
    for key, tensor in group.state.items():
        own = chosen.state.setdefault(key, tensor)
        if own.numel() != tensor.numel() or not bool((own == tensor).all()):
            raise ModelError(
                f"{short(path.name)} holds two {key}, in {short(chosen.name)} and in "
                f"{short(group.name)}, that differ; save the right one alone"
            )
    return True
