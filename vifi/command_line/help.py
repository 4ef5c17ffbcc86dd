"""How --help shows options: words for values instead of Python's types, groups that users know."""

import dataclasses
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

# Defaults that say nothing beside a help text that tells what happens without the option.
_SILENT = ("", "''", "None", "False")

# What stands for a value, by the option, with its dataclass where others mean something else by it;
# by its type where no word is said here.
_WORDS = {
    "DATASET": ("dataset", "extract_dataset"),
    "NAME": (
        *("features", "split", "train_split", "base_split", "novel_split", "against", "name"),
        *("from_store", "few_shot", "halves", "models"),
    ),
    "MODEL": ("model",),
    "WEIGHTS": ("pretrained", "token_embedding"),
    "CHECKPOINT": ("checkpoint", "checkpoints"),
    "TEMPLATE": ("template",),
    "FUSION": ("fusion",),
    "DEVICE": ("device",),
    "CLASS": ("label",),
    "A,B,C|FILE": ("ClassifyArguments.labels",),
    "VIDEO": ("like", "videos"),
    "STORE": ("store",),
    "DIR": ("root", "results", "folder", "frame_cache", "out"),
    "FILE": (
        *("labels", "image", "queries", "ids", "head", "apply", "table"),
        *("predictions", "TsneArguments.out", "TrainHeadArguments.out"),
    ),
    "PATH": ("ExportSettings.out",),
    "OLD=NEW": ("map_prefix",),
    "REGEX": ("split_by",),
    "A:B": ("blocks",),
}
_WORD_OF = {field: word for word, fields in _WORDS.items() for field in fields}
_OF_TYPES = {"str": "TEXT", "int": "N", "float": "NUMBER", "Path": "PATH"}

# Where the options of a verb that has many stand.
_GROUPS = {
    "model": ("model", "pretrained", "weights", "image_size", "ema_weights"),
    "frames and pixels": (
        *("frames", "fps", "every", "num_frames", "candidate_frames", "clips", "stride", "crops"),
        *("preprocess", "mean", "std", "interpolation", "resize_mode"),
    ),
    "class names": ("template", "class_names", "cut_context", "keep_tokens"),
    "optimisation": (
        *("epochs", "batch_size", "micro_batch", "drop_last", "learning_rate", "warmup_epochs"),
        *("final_ratio", "weight_decay", "betas", "second_beta", "released_schedule"),
        *("released_data", "label_smoothing", "ema", "blend", "seed"),
    ),
    "augmentation": (
        *("flip", "crop_scales", "jitter", "jitter_each_frame", "grayscale", "mixing"),
    ),
    "prompt learning": ("image_prompts", "image_depth", "text_prompts", "text_depth"),
    "machine": (
        *("device", "precision", "compile", "gradient_checkpointing", "batch", "workers"),
        *("worker_memory_gb", "in_memory", "decoder", "timeout", "frame_cache", "frame_cache_gb"),
    ),
    "checkpoints": ("checkpoint_every", "extract_every", "extract_dataset", "extract_with"),
    "following": ("once", "until_done", "trainer", "poll"),
}
_GROUP_OF = {field: group for group, fields in _GROUPS.items() for field in fields}


def help_registry() -> ConstructorRegistry:
    """Return the rules by which tyro shows dataclasses of arguments.

    They are for showing alone: options are grouped by what they are about, whatever dataclass they
    are a field of, so that nothing could be made of what is parsed.
    """
    registry = ConstructorRegistry()
    groups: dict[type, tuple[StructFieldSpec, ...]] = {}
    is_inside = False

    @registry.struct_rule
    def show(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal is_inside
        if info.type in groups:
            return StructConstructorSpec(instantiate=dict, fields=groups[info.type])
        if is_inside or not dataclasses.is_dataclass(info.type):
            return None
        # tyro's own rule reads the dataclass: this one stands back while it does.
        is_inside = True
        try:
            # What a verb shares with others comes first in its dataclass, and --json last in help.
            leaves = sorted(_leaves(info), key=lambda leaf: leaf[1].name == "json")
            fields = _grouped(leaves, groups)
        finally:
            is_inside = False
        return StructConstructorSpec(instantiate=info.type, fields=fields)

    return registry


def _leaves(info: StructTypeInfo, *, is_inner: bool = False) -> Iterator[tuple[bool, Any]]:
    """The options of a dataclass and of those in it; whether they are those of an inner one."""
    spec = ConstructorRegistry.get_struct_spec(info)
    assert isinstance(spec, StructConstructorSpec)
    for field in spec.fields:
        inner, _ = _bare(field.type)
        if dataclasses.is_dataclass(inner):
            made = StructTypeInfo.make(field.type, field.default, in_union_context=False)
            yield from _leaves(made, is_inner=True)
        else:
            yield is_inner, _shown(field, info.type.__name__)


def _grouped(
    leaves: list[tuple[bool, StructFieldSpec]], groups: dict[type, tuple[StructFieldSpec, ...]]
) -> tuple[StructFieldSpec, ...]:
    """Options of a verb that has more than its own behind them, in the groups of their subjects."""
    if not any(is_inner for is_inner, _ in leaves):
        return tuple(field for _, field in leaves)
    own, found = [], {}
    for _, field in leaves:
        group = _GROUP_OF.get(field.name)
        (found.setdefault(group, []) if group else own).append(field)
    for group in sorted(found, key=list(_GROUPS).index):
        kind = type(group, (), {"__doc__": ""})
        groups[kind] = tuple(found[group])
        own.append(StructFieldSpec(name=group, type=kind, default=tyro.MISSING))
    return tuple(own)


def _shown(field: StructFieldSpec, owner: str) -> StructFieldSpec:
    """An option with a word for its value, and its default only where that says something."""
    kind, marks = _bare(field.type)
    looks: dict[str, Any] = {}
    is_append = tyro.conf.UseAppendAction in marks
    if kind is not bool and tyro.conf.Positional not in marks:
        word = _WORD_OF.get(f"{owner}.{field.name}", _WORD_OF.get(field.name, ""))
        looks["metavar"] = _metavar(word, get_args(kind)[0] if is_append else kind)
    if not is_append:
        looks["help_behavior_hint"] = _default_hint
    # What the field itself says comes behind, and counts.
    shown = Annotated[(kind, tyro.conf.arg(**looks), *marks)]
    return dataclasses.replace(field, type=shown, helptext=_unbroken(field.helptext))


def _unbroken(told: str | Callable[[], str | None] | None) -> str | None:
    """A help text on one line: tyro wraps it, and keeps the line breaks of an indented one."""
    text = told() if callable(told) else told
    return text if text is None else " ".join(text.split())


def _default_hint(label: str) -> str:
    if label == "True":
        # Its help tells of what is done, and the form that is shown leaves that out.
        return "(done unless this is given)"
    return "" if label in _SILENT else f"(default: {label})"


def _bare(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations; and these."""
    if get_origin(kind) is Annotated:
        bare, *marks = get_args(kind)
        return bare, tuple(marks)
    return kind, ()


def _metavar(word: str, kind: Any) -> str:
    """What stands for the value of an option: `NAME ...` for several."""
    options = [kind]
    if get_origin(kind) in (Union, types.UnionType):
        options = [option for option in get_args(kind) if option is not type(None)]
    (option, *_) = options
    if get_origin(option) is tuple:
        of = get_args(option)
        if of[-1] is Ellipsis:
            return f"{_metavar(word, of[0])} ..."
        return " ".join(_metavar(word, one) for one in of)
    if get_origin(option) is Literal:
        return "{" + ",".join(str(choice) for choice in get_args(option) if choice) + "}"
    return word if word and option not in (int, float) else _OF_TYPES.get(option.__name__, "VALUE")
