"""What the scoring verbs share: text embeddings made on demand, rows written and printed."""

from collections.abc import Sequence
from pathlib import Path

from harness.results import ResultRow, append_rows, to_record
from harness.scoring import checkpoint_of
from vifi.console import print_json, say
from vifistore.errors import UsageError
from vifistore.store.store import Store

# The metrics a reader wants on the screen; the results folder holds all of them.
_SHOWN = ("top1", "top5", "harmonic_mean")


def choose_texts(
    store: Store, dataset: str, features: str, split: str, templates: Sequence[str]
) -> str:
    """Return the id of the text set to score with, or "" to let the harness find the only one.

    Encodes the classes where the store lacks them; that alone needs the model. Raises ModelError
    if its weights cannot be had.
    """
    checkpoint = checkpoint_of(store, store.features(dataset, features))
    class_names = store.split(dataset, split).class_names
    wanted = {
        "text_digest": checkpoint["text_digest"],
        "logit_scale": checkpoint["logit_scale"],
        "class_names": class_names,
    }
    if templates:
        wanted["templates"] = list(templates)
    found = store.find_texts(**wanted)
    if found:
        return found[0]["id"] if templates else ""

    from vifistore.extract.texts import ensure_texts, reload_checkpoint
    from vifistore.models.text import PAPER_TEMPLATE
    from vifistore.store import open_store

    loaded = reload_checkpoint(checkpoint)
    writable = open_store(store.path, mode="a")
    return ensure_texts(writable, loaded, class_names, templates or (PAPER_TEMPLATE,))


def require_features(features: Sequence[str], verb: str, *, one: bool) -> None:
    """Raise UsageError unless --features was given, once where `one` is set."""
    if not features:
        raise UsageError(f"--features is missing; name a feature set, see vifi {verb} --help")
    if one and len(features) > 1:
        raise UsageError(f"this protocol scores one feature set, not {len(features)}")


def write_and_print(rows: list[ResultRow], results: Path | None, *, json: bool) -> None:
    """Append rows to the results folder, if there is one, and print them."""
    if results is not None:
        append_rows(results, rows)
    if json:
        print_json({"rows": [to_record(row) for row in rows]})
        return
    for row in rows:
        if row.metric in _SHOWN:
            say(_line(row))
    if results is not None:
        say(f"{len(rows)} rows in {results}/results.jsonl; draw them with: vifi report {results}")


def _line(row: ResultRow) -> str:
    name = row.feature_names[0] if row.feature_names else row.feature_set
    subset = "" if row.subset == "all" else f" {row.subset}"
    interval = (
        f" [{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}]" if row.ci_low is not None else ""
    )
    quarantined = f", {row.num_quarantined} quarantined" if row.num_quarantined else ""
    used = f" {row.num_frames} frames {row.num_views} views" if "ablation" in row.protocol else ""
    return (
        f"{name} {row.dataset} {row.split}{subset}{used} {row.fusion} {row.metric} "
        f"{100 * row.value:.1f}{interval} ({row.num_videos} videos{quarantined})"
    )
