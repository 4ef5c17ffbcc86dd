"""What the scoring verbs share: text embeddings made on demand, rows written and printed."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.followed_texts import follow_videos
from harness.leaks import tuned_lines, warnings_of
from harness.levers.lever_rows import MINUS_PLAIN
from harness.measuring import PROBABILITIES
from harness.results import TUNED, ResultRow, append_rows, to_record
from harness.results.ranking_marks import ranking_mark
from harness.results.row_names import row_name
from harness.scoring import checkpoint_of, load_videos
from harness.text_choice import find_texts, fitting_texts
from harness.zero_shot_claims import claim_of
from reports.layouts.grouping import short_template
from vifi.command_line.console import print_json, say
from vifi.scoring.followed_cosines import make_cosines
from vifistore.cleaning import AS_IS
from vifistore.errors import ModelError, UsageError, shell
from vifistore.store.checkpoints import trained_with
from vifistore.store.features import Features
from vifistore.store.store import Store
from vifistore.videos.checks import is_training

logger = logging.getLogger("vifi")

# The metrics a reader wants on the screen; the results folder holds all of them.
SHOWN = (
    *("top1", "top5", "harmonic_mean", MINUS_PLAIN),
    *("mean_average_precision", "precision_at_1", "t2v_recall_at_1", "v2t_recall_at_1"),
    *("v2v_mean_average_precision", "v2v_recall_at_1"),
    *("r1_iou_0.3", "r1_iou_0.5", "r1_iou_0.7", "map_average", "hit_at_1", "mean_iou"),
)


# Store, checkpoint, class names, templates and cleaning -> id of the text set that is made of them.
EncodeTexts = Callable[[Store, dict, Sequence[str], Sequence[str], str], str]


def choose_texts(features: Features, split: str, templates: Sequence[str], how: str = "") -> str:
    """`texts_of_names` of the classes of a split; with cosines, where texts follow the video."""
    class_names = features.dataset.split(split).class_names
    return followed_texts_of(features, class_names, templates, how)


def followed_texts_of(
    features: Features, class_names: Sequence[str], templates: Sequence[str], how: str
) -> str:
    """`texts_of_names` that the store keeps; where texts follow the video always one set of them,
    with its cosines if these can be made without the video."""
    texts = texts_of_names(features, class_names, templates, how, _encode_and_keep)
    checkpoint = checkpoint_of(features)
    if follow_videos(checkpoint):
        texts = texts or find_texts(features.store, checkpoint, class_names, templates, how)
        make_cosines(features, texts)
    return texts


def texts_of_names(
    features: Features,
    class_names: Sequence[str],
    templates: Sequence[str],
    how: str,
    encode: EncodeTexts,
) -> str:
    """Return the id of the text set to score with, or "" to let the harness find the only one.

    Templates and cleaning of class names that are not given are those that the checkpoint was
    trained with. `encode` makes a set where the store lacks one; that alone needs the model.
    Raises ModelError if its weights cannot be had, unless other texts are there and none were asked
    for: then that is said, and rows say it as well.
    """
    checkpoint = checkpoint_of(features)
    trained = trained_with(checkpoint)
    wanted = (templates or trained.templates, how or trained.cleaning)
    # A set of more classes will do: that of a whole dataset serves its base and novel halves.
    if fitting_texts(features.store, checkpoint, class_names, *wanted):
        return find_texts(features.store, checkpoint, class_names, *wanted) if wanted[0] else ""
    try:
        return encode(features.store, checkpoint, class_names, *wanted)
    except ModelError as error:
        if templates or how or not fitting_texts(features.store, checkpoint, class_names):
            raise
        logger.warning(
            "scored with other texts than %s was trained with, which cannot be encoded: %s",
            *(features.name, error),
        )
        return ""


def _encode_and_keep(
    store: Store, checkpoint: dict, class_names: Sequence[str], templates: Sequence[str], how: str
) -> str:
    from vifistore.store import open_store

    writable = open_store(store.path, mode="a")
    return encode_texts(writable, checkpoint, class_names, templates, how)


def encode_texts(
    store: Store, checkpoint: dict, class_names: Sequence[str], templates: Sequence[str], how: str
) -> str:
    """Encode class names by a checkpoint of the store, which can be written, and return the id of
    the text set. Raises UsageError for a cleaning of the class names of a head."""
    from vifistore.extract.class_texts import ensure_texts, reload_checkpoint
    from vifistore.models.text_embedding import default_cleaning, default_templates

    if "head" in (checkpoint["settings"] or {}):
        from vifistore.training.heads.head_texts import texts_of_checkpoint

        if how not in ("", AS_IS):
            told = "a head is scored with class names as they are; leave out --class-names"
            raise UsageError(told)
        return texts_of_checkpoint(store, checkpoint, class_names, templates)
    loaded = reload_checkpoint(checkpoint)
    prompts = (templates or default_templates(loaded), how or default_cleaning(loaded))
    return ensure_texts(store, loaded, class_names, *prompts)


def warn_of_leaks(
    features: Sequence[Features],
    split: str,
    *,
    is_tuned_here: bool,
    train_split: str = "",
    partial: bool = False,
) -> None:
    """Log copies of videos in a split, and videos that it shares with training splits, each thing
    once for all feature sets.

    `is_tuned_here` says that the checkpoint was tuned on videos of this dataset; on which is known
    where `train_split` is given.
    """
    training, lines = [], {}
    if is_tuned_here and not train_split:
        training = [name for name in features[0].dataset.splits() if is_training(name)]
    for one in features:
        train = load_videos(one, train_split, partial=partial) if train_split else None
        videos = load_videos(one, split, partial=partial)
        told = warnings_of(videos, training, train, is_tuning_told=is_tuned_here)
        lines |= dict.fromkeys(told)
    for line in lines:
        logger.warning("%s", line)


def warn_of_tuning(features: Features, split: str, *, is_tuned_here: bool, partial: bool) -> None:
    """Log that a checkpoint was tuned on what is scored: of sets beside that of `warn_of_leaks`."""
    videos = load_videos(features, split, partial=partial)
    claim = claim_of(videos)
    for line in tuned_lines(videos, claim, is_tuning_told=is_tuned_here):
        logger.warning("%s", line)


def write_and_print(
    rows: list[ResultRow], results: Path | None, *, json: bool, shown: Sequence[str] = SHOWN
) -> None:
    """Append rows to the results folder, if there is one, and print those of the metrics `shown`,
    or all as JSON."""
    if results is not None:
        append_rows(results, rows)
    if json:
        print_json({"rows": [to_record(row) for row in rows]})
        return
    for row in rows:
        if row.metric in shown:
            say(_line(row))
    for told in {row.provenance[PROBABILITIES] for row in rows if PROBABILITIES in row.provenance}:
        logger.warning("%s", told)
    if results is not None:
        draw = shell("vifi", "report", results)
        say(f"{len(rows)} rows in {results}/results.jsonl; draw them with: {draw}")


def _line(row: ResultRow) -> str:
    name, interval = row_name(row), ""
    if row.ci_low is not None and row.ci_high is not None:
        interval = f" [{100 * row.ci_low:.1f}, {100 * row.ci_high:.1f}]"
    elif values := row.provenance.get("values"):
        interval = f" ± {100 * np.std(values):.1f} over {len(values)} {row.provenance['over']}"
    return (
        f"{name} {place_of(row)} {row.metric} "
        f"{100 * row.value:.1f}{interval} ({covered_by(row)}){_marks(row)}"
    )


def _marks(row: ResultRow) -> str:
    """What keeps a number from being what it looks like."""
    marks = []
    lifted = row.provenance.get("lifted") or {}
    if lifted.get("transductive"):
        marks.append("transductive: it looks at all scored videos together")
    if known := lifted.get("tuned_on"):
        seen = lifted.get("seen_in_training")
        marks.append(f"chosen on {known}" + (f", {seen} of it trained on" if seen else ""))
    if mark := ranking_mark(row):
        marks.append(mark)
    if row.protocol == TUNED:
        marks.append(f"tuned on {row.tuned_on}, not zero-shot")
    if seen := row.provenance.get("shared_videos"):
        marks.append(f"{seen} of the videos are its training videos")
    if differing := row.provenance.get("not_as_trained"):
        marks.append(f"other {', '.join(differing).replace('_', ' ')} than trained with")
    return "".join(f"; {mark}" for mark in marks)


def covered_by(row: ResultRow) -> str:
    """What a number is over, in a few words: `202 videos, 6 classes, 1 quarantined`."""
    is_part = row.listed is not None
    videos = f"{row.num_videos:,} of {row.listed:,} listed" if is_part else f"{row.num_videos:,}"
    asked = {name: row.provenance.get(name, 0) for name in ("queries", "captions")}
    counted = [f"{count:,} {name}" for name, count in asked.items() if count]
    counted = " ".join(counted) or f"{row.classes:,} classes"
    if source := row.provenance.get("source"):
        counted += f", {row.provenance['sources']:,} sources by {source}"
    if alone := row.provenance.get("alone"):
        counted += f", {alone:,} without another of their class elsewhere"
    if missing := row.provenance.get("uncaptioned"):
        counted += f", {missing:,} without captions"
    quarantined = f", {row.num_quarantined:,} quarantined" if row.num_quarantined else ""
    files = row.provenance.get("files", row.num_videos)
    of_files = f" of {files:,} files" if files < row.num_videos else ""
    return f"{videos} videos{of_files}, {counted}{quarantined}"


def place_of(row: ResultRow) -> str:
    """What was scored, without the feature set and the metric, in a few words."""
    words = [row.dataset, row.split] + ([] if row.subset == "all" else [row.subset])
    if row.protocol in ("ablation-frames", "ablation-views"):
        words.append(f"{row.num_frames} frames {row.num_views} views")
    if row.protocol == "ablation-templates":
        words.append(f"“{short_template(row.template)}”")
    if row.shots is not None:
        words.append(f"{row.shots} shots")
    if row.seed is not None:
        words.append(f"seed {row.seed}")
    if row.classifier != "text":
        words.append(row.classifier)
    if "blend" in row.provenance:
        words.append(f"{row.provenance['blend']:g} of the tuned weights")
    return " ".join([*words, row.fusion, *filter(None, [row.ranking, row.lever])])
