"""`vifi evaluate S PROTOCOL`: score cached features by one of the paper's protocols."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from harness.measuring import Scoring
from harness.protocols.base_to_novel import BaseToNovel, base_to_novel
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.supervised import supervised
from harness.protocols.trained import Trained
from harness.protocols.zero_shot import zero_shot
from harness.results import ResultRow
from vifi.console import parse
from vifi.scoring import choose_texts, require_features, write_and_print
from vifistore.errors import UsageError
from vifistore.store import open_store
from vifistore.store.store import Store

Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments:
    """Score cached features by one of the paper's protocols."""

    store: tyro.conf.Positional[Path]
    """Path of the store."""
    protocol: tyro.conf.Positional[Literal["zero-shot", "base-to-novel", "few-shot", "supervised"]]
    """How the number is computed."""
    dataset: str
    """Dataset to score."""
    features: tuple[str, ...] = ()
    """Name or id of the feature set; base-to-novel takes one per seed."""
    split: tuple[str, ...] = ()
    """Split to score; several give their mean as well. Default: every labelled video."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding (default), decision, image, max, top-4, attention."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it; encoded if the store lacks it."""
    train_split: str = ""
    """Split to train a classifier on (few-shot, supervised)."""
    classifier: Literal["text", "linear-probe", "prototype", "tip-adapter"] = "text"
    """What scores (few-shot, supervised): text, or one trained on cached embeddings."""
    shots: tuple[int, ...] = ()
    """Videos per class to draw, or that the checkpoint was tuned on (few-shot)."""
    draws: int = 1
    """Random draws per number of shots (few-shot)."""
    base_split: str = "base_val"
    """Test videos of the base classes (base-to-novel)."""
    novel_split: str = "novel_val"
    """Test videos of the novel classes (base-to-novel)."""
    partial: bool = False
    """Score a feature set that is not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to."""
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("evaluate", EvaluateArguments, arguments)
    require_features(wanted.features, "evaluate", one=wanted.protocol != "base-to-novel")
    _refuse_unused(wanted)
    store = open_store(wanted.store)
    rows = _PROTOCOLS[wanted.protocol](store, wanted)
    write_and_print(rows, wanted.results, json=wanted.json)
    return 0


def _refuse_unused(wanted: EvaluateArguments) -> None:
    """Raise UsageError for a flag that the protocol would ignore, or a number it cannot take."""
    for field in ("base_split", "novel_split", "train_split", "classifier", "shots", "draws"):
        default = EvaluateArguments.__dataclass_fields__[field].default
        if getattr(wanted, field) != default and field not in _USED.get(wanted.protocol, ()):
            flag = field.replace("_", "-")
            raise UsageError(f"--{flag} has no meaning for {wanted.protocol}; leave it out")
    most = {"zero-shot": len(wanted.split), "base-to-novel": 0}.get(wanted.protocol, 1)
    if len(wanted.split) > most:
        raise UsageError(
            f"{wanted.protocol} takes {'no --split' if most == 0 else 'one split'}, not "
            f"{', '.join(wanted.split)}"
        )
    if wanted.draws < 1 or any(shots < 1 for shots in wanted.shots):
        raise UsageError("--shots and --draws must be 1 or more")


# Flags beyond those that every protocol takes.
_USED = {
    "base-to-novel": ("base_split", "novel_split"),
    "few-shot": ("train_split", "classifier", "shots", "draws"),
    "supervised": ("train_split", "classifier"),
}


def _common(wanted: EvaluateArguments) -> dict:
    return {
        "fusions": wanted.fusion or ("embedding",),
        "partial": wanted.partial,
        "templates": wanted.template,
    }


def _zero_shot(store: Store, wanted: EvaluateArguments) -> list[ResultRow]:
    splits = wanted.split or ("",)
    (features,) = wanted.features
    texts = [choose_texts(store, wanted.dataset, features, s, wanted.template) for s in splits]
    settings = Scoring(**_common(wanted), texts=texts[0] if len(set(texts)) == 1 else "")
    return zero_shot(store, wanted.dataset, features, splits, settings)


def _base_to_novel(store: Store, wanted: EvaluateArguments) -> list[ResultRow]:
    splits = (wanted.base_split, wanted.novel_split)
    for features in wanted.features:
        for split in splits:
            choose_texts(store, wanted.dataset, features, split, wanted.template)
    settings = BaseToNovel(**_common(wanted), base_split=splits[0], novel_split=splits[1])
    return base_to_novel(store, wanted.dataset, wanted.features, (), settings)


def _trained(store: Store, wanted: EvaluateArguments) -> tuple[str, str, dict]:
    (features,) = wanted.features
    split = wanted.split[0] if wanted.split else ""
    texts = ""
    if wanted.classifier in ("text", "tip-adapter"):
        texts = choose_texts(store, wanted.dataset, features, split, wanted.template)
    chosen = {"classifier": wanted.classifier, "train_split": wanted.train_split, "texts": texts}
    return features, split, {**_common(wanted), **chosen}


def _few_shot(store: Store, wanted: EvaluateArguments) -> list[ResultRow]:
    features, split, chosen = _trained(store, wanted)
    settings = FewShot(**chosen, shots=wanted.shots, draws=wanted.draws)
    return few_shot(store, wanted.dataset, features, split, settings)


def _supervised(store: Store, wanted: EvaluateArguments) -> list[ResultRow]:
    features, split, chosen = _trained(store, wanted)
    return supervised(store, wanted.dataset, features, split, Trained(**chosen))


_PROTOCOLS: dict[str, Callable[[Store, EvaluateArguments], list[ResultRow]]] = {
    "zero-shot": _zero_shot,
    "base-to-novel": _base_to_novel,
    "few-shot": _few_shot,
    "supervised": _supervised,
}
