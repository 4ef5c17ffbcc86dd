"""What `vifi evaluate` can be told, and what of it a protocol has no use for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from harness.classifiers import USES_TEXT
from harness.levers.known_levers import check_lever_names
from harness.retrieval.moments.moment_evaluation import PROTOCOL as MOMENTS
from harness.retrieval.moments.proposals import CONTRAST, check_proposal
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.scoring.lever_choice import NO_LEVERS, LeverArguments, asks_for_levers
from vifistore.errors import Faults

Repeated = tyro.conf.UseAppendAction[tuple[str, ...]]

# Flags beyond those that every protocol takes.
_LEVERS = tuple(NO_LEVERS)
_OF_CAPTIONS = ("paragraphs", "rerank", "best_frames", "normalise", "bank", "sharpness")
_OF_RETRIEVAL = (*_OF_CAPTIONS, "video_queries", "groups")
_USED = {
    "zero-shot": _LEVERS,
    "base-to-novel": ("base_split", "novel_split", "train_split"),
    "few-shot": ("train_split", "classifier", "shots", "draws", *_LEVERS),
    "supervised": ("train_split", "classifier", *_LEVERS),
    "retrieval": _OF_RETRIEVAL,
    MOMENTS: ("queries", "proposal"),
}
_OF_SOME = (
    *("base_split", "novel_split", "train_split", "classifier", "shots", "draws"),
    *("queries", "proposal", *_OF_RETRIEVAL, *_LEVERS),
)


@dataclass(frozen=True, kw_only=True)
class EvaluateArguments(PrintArguments, LeverArguments, StoreArguments):
    """Score cached features by one of the paper's protocols.

    Quarantined videos are left out and counted in every row; the exit code is 0 with them too.
    """

    protocol: tyro.conf.Positional[
        Literal[
            "zero-shot", "base-to-novel", "few-shot", "supervised", "retrieval", "moment-retrieval"
        ]
    ]
    """How the number is computed: zero-shot, base-to-novel, few-shot, supervised, retrieval (by
    captions and class names, whichever there are), or moment-retrieval (which seconds of a video
    each sentence of --queries is about)."""
    dataset: str
    """Dataset to score."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets, each scored by itself; base-to-novel takes one per seed, and
    gives their mean as well. Default: the dataset's only one."""
    split: tuple[str, ...] = ()
    """Split to score; several give their mean as well. `all`: every labelled video, which is the
    default where the dataset has no splits."""
    fusion: tuple[str, ...] = ()
    """Where frames are merged: embedding (default), decision, image, max, top-K (as top-4),
    attention. each-template merges embeddings and averages the templates' probabilities, as
    ActionCLIP does; best-text, transport and time-warping compare with each text of a class."""
    template: Repeated = ()
    """Prompt of a class name, {} standing for it, or a named set (paper, bare, kinetics,
    actionclip); several are averaged. Encoded if the store lacks them. Default: the one that the
    checkpoint was trained with."""
    class_names: Literal["", "as-is", "spaces", "words"] = ""
    """Words of a class name in a prompt: as-is, spaces (no underscores) or words (CamelCase split
    as well). Default: as the checkpoint was trained."""
    against: tuple[str, ...] = ()
    """Feature set to compare with on the same videos, by a paired bootstrap; one for all of
    --features, or one for each."""
    train_split: str = ""
    """Split to train a classifier on (few-shot, supervised); split whose videos are counted per
    class (base-to-novel, default: every labelled video)."""
    classifier: Literal["text", "linear-probe", "prototype", "cache", "tip-adapter"] = "text"
    """What scores (few-shot, supervised): class names (text), for a checkpoint that was tuned on
    videos of these classes, or a classifier trained here on cached embeddings; all but text and
    tip-adapter need no text tower."""
    shots: tuple[int, ...] = ()
    """Videos per class to draw, or with the classifier text those that the checkpoint was tuned on,
    which is the default where it says so (few-shot)."""
    draws: int = 1
    """Random draws per number of shots (few-shot)."""
    base_split: str = "base_val"
    """Test videos of the base classes (base-to-novel)."""
    novel_split: str = "novel_val"
    """Test videos of the novel classes (base-to-novel)."""
    partial: bool = False
    """Score a feature set that is not complete; rows say how many videos they cover."""
    results: Path | None = None
    """Folder to append the rows to; also gets tables of classes and of mistakes."""
    predictions: Path | None = None
    """File (.csv or .parquet) of what each video was taken for, a line per video and score: id,
    path, label, predicted, the five best classes and their scores. Of moment-retrieval the
    stretches found for each query (.jsonl as QVHighlights takes submissions, or .csv)."""
    queries: Path | None = None
    """Query file of QVHighlights (highlight_val_release.jsonl), Charades-STA
    (charades_sta_test.txt) or ActivityNet-Captions (val_1.json), for moment-retrieval."""
    proposal: str = CONTRAST
    """Rule that draws stretches from cosines (moment-retrieval): contrast, watershed, half-way."""
    paragraphs: bool = False
    """Ask all captions of a video as one text, as is usual for DiDeMo and ActivityNet-Captions
    (retrieval)."""
    rerank: Literal["", "maxsim", "topk", "weighted"] = ""
    """Score every video by its cached frames: the best one, the mean of the best, or their mean
    weighted by the query (retrieval)."""
    best_frames: int = 4
    """Frames that --rerank topk takes the mean of (retrieval)."""
    normalise: Literal["", "dual-softmax", "inverted-softmax", "qb-norm"] = ""
    """Normalise scores of captions and videos over what else asks; transductive unless there is a
    --bank (retrieval)."""
    bank: str = ""
    """Split whose captions and videos --normalise takes in the place of those that are scored
    (retrieval)."""
    video_queries: bool = False
    """Ask every labelled video for others of its class, without those of the same source
    (retrieval)."""
    groups: str = ""
    """Regular expression that tells the source of a video by its path, which is its first group or
    all that it matches. Default: the group of names like UCF101's, the YouTube id of names with
    times, else the file (retrieval --video-queries)."""
    sharpness: float | None = None
    """Inverse temperature of --normalise. Default: 20 for qb-norm, else the scale that the
    checkpoint learned (retrieval)."""


def note_unused(found: Faults, wanted: EvaluateArguments) -> None:
    """Note flags that the protocol would ignore, and numbers that it cannot take."""
    for field in _OF_SOME:
        default = EvaluateArguments.__dataclass_fields__[field].default
        is_used = field in _USED.get(wanted.protocol, ())
        flag = field.replace("_", "-")
        told = f"--{flag} has no meaning for {wanted.protocol}; leave it out"
        found.check(is_used or getattr(wanted, field) == default, told)
    most = {"zero-shot": len(wanted.split), "base-to-novel": 0, MOMENTS: 0}.get(wanted.protocol, 1)
    found.check(
        len(wanted.split) <= most,
        f"{wanted.protocol} takes {'no --split' if most == 0 else 'one split'}, not "
        f"{', '.join(wanted.split)}",
    )
    for flag in ("against", "predictions"):
        told = f"--{flag} has no meaning for retrieval; leave it out"
        found.check(not (getattr(wanted, flag) and wanted.protocol == "retrieval"), told)
    ending = ".jsonl" if wanted.protocol == MOMENTS else ".parquet"
    is_table = wanted.predictions is None or wanted.predictions.suffix in (".csv", ending)
    found.check(is_table, f"--predictions is {wanted.predictions}; it must end in .csv or {ending}")
    if wanted.protocol == MOMENTS:
        _note_moments(found, wanted)
    if wanted.protocol == "retrieval":
        _note_retrieval(found, wanted)
    num_features = len(wanted.features) or 1
    found.check(
        len(wanted.against) in (0, 1, num_features),
        f"--against names {len(wanted.against)} feature sets and --features {num_features}; give "
        "one for all, or one for each",
    )
    _note_training(found, wanted)
    _note_levers(found, wanted)


def _note_levers(found: Faults, wanted: EvaluateArguments) -> None:
    """Note levers that there are not, and what they cannot be scored beside."""
    if not asks_for_levers(wanted):
        told = "--validation-split chooses for levers; give --lever too"
        found.check(not wanted.validation_split, told)
        return
    found.attempt(check_lever_names, wanted.lever)
    told = "levers are compared with one split's plain score; give one --split"
    found.check(len(wanted.split) <= 1, told)
    told = f"levers are of scores by class names, and {wanted.classifier} is none; leave them out"
    found.check(wanted.classifier == "text", told)


def _note_retrieval(found: Faults, wanted: EvaluateArguments) -> None:
    """Note flags of one kind of queries that were given for another."""
    is_idle = wanted.best_frames != 4 and wanted.rerank != "topk"
    told = "--best-frames is of --rerank topk; give it, or leave it out"
    found.check(not is_idle or wanted.video_queries, told)
    told = "--groups is of --video-queries; give it, or leave it out"
    found.check(wanted.video_queries or not wanted.groups, told)
    for field in (*_OF_CAPTIONS, "template", "class_names") if wanted.video_queries else ():
        default = EvaluateArguments.__dataclass_fields__[field].default
        told = f"--{field.replace('_', '-')} is of captions and class names, and --video-queries "
        told += "asks none; leave one of them out"
        found.check(getattr(wanted, field) == default, told)


def _note_moments(found: Faults, wanted: EvaluateArguments) -> None:
    """Note what keeps a query file from being asked."""
    told = f"{MOMENTS} needs the benchmark's queries; give --queries FILE"
    found.check(wanted.queries is not None, told)
    found.attempt(check_proposal, wanted.proposal)
    for flag in ("fusion", "class_names", "against"):
        told = f"--{flag.replace('_', '-')} has no meaning for {MOMENTS}; leave it out"
        found.check(not getattr(wanted, flag), told)
    told = "--predictions are those of one feature set; give one with --features"
    found.check(wanted.predictions is None or len(wanted.features) < 2, told)


def _note_training(found: Faults, wanted: EvaluateArguments) -> None:
    """Note flags of training videos and classifiers that do not go together."""
    is_trained = wanted.classifier != "text"
    is_whole = wanted.draws >= 1 and all(shots >= 1 for shots in wanted.shots)
    found.check(is_whole, "--shots and --draws must be 1 or more")
    told = "--draws needs --shots, and a --classifier that is trained on them"
    found.check(wanted.draws <= 1 or (is_trained and bool(wanted.shots)), told)
    told = f"{wanted.classifier} needs training videos; give --train-split NAME"
    is_used = "classifier" in _USED.get(wanted.protocol, ())
    found.check(not (is_trained and is_used) or bool(wanted.train_split), told)
    is_idle = wanted.protocol == "base-to-novel" and wanted.results is None
    told = "--train-split only counts videos for a figure here; give --results too"
    found.check(not (is_idle and wanted.train_split), told)
    is_wordless = wanted.classifier not in ("text", *USES_TEXT)
    for flag in ("template", "class_names"):
        told = f"--{flag.replace('_', '-')} has no meaning for {wanted.classifier}; leave it out"
        found.check(not (getattr(wanted, flag) and is_wordless), told)
