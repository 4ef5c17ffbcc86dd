"""The results folder: one number a row, appended to `results.jsonl`, the last of a key wins.

    append_rows("results", [row])       # safe against a kill, and between processes
    rows = read_rows("results")         # list[ResultRow]
    frame = read_frame("results")       # the same as a pandas.DataFrame, one column a field

Units: accuracies, rates and their intervals are fractions in [0, 1]; ranks count from 1.
A deviation over splits or seeds is a row of its own, whose metric ends in `_std`.
"""

import dataclasses
import json
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vifistore.errors import DamagedError, UsageError, first_few, short
from vifistore.files import locked, parse_json, read_regular, regular_opener, write_all
from vifistore.temporaries import clear_temporaries

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

FILE_NAME = "results.jsonl"
_LOCK = ".lock"
SUBSETS = ("all", "base", "novel", "joint")
VALUE_FIELDS = (
    *("num_videos", "num_quarantined", "listed"),
    *("value", "ci_low", "ci_high", "provenance"),
    # It follows from the checkpoint and the videos.
    "tuned_on",
)
# What zero-shot is called where the checkpoint was tuned on the scored videos or their dataset.
ZERO_SHOT, TUNED = "zero-shot", "tuned"
_REMEDY = "remove or mend that line, or point to another results folder"


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One number and all that remakes it. Not-a-number is kept as `null` and read back as NaN."""

    protocol: str
    """zero-shot, tuned (scored so on what it was tuned on), base-to-novel, few-shot, supervised, or
    the name of an ablation."""
    dataset: str
    """Dataset the videos belong to."""
    split: str
    """Split scored; `a+b+c` for a mean over splits."""
    subset: str = "all"
    """Which classes compete and whose videos are scored: all, base, novel or joint."""
    feature_set: str
    """Id of the feature set; `a+b+c` for a mean over seeds with one feature set each."""
    feature_names: tuple[str, ...] = ()
    """Names of the feature set when it was scored, first the one that was asked for; of a mean
    over seeds one for each run."""
    scored_checkpoint: str
    """Checkpoint whose text tower and logit scale scored (a name, or a digest without one); empty
    for embeddings made elsewhere."""
    text_set: str
    """Id of the text embeddings; empty for a classifier that uses no text."""
    template: str = ""
    """Prompt templates joined by ` | `."""
    classifier: str = "text"
    """text, linear-probe, prototype, cache or tip-adapter."""
    trained_fusion: str = ""
    """Fusion the checkpoint was fine-tuned with; empty where it is not known."""
    fusion: str
    """Fusion scored with."""
    num_frames: int
    """Frames per view."""
    num_views: int
    """Views per video."""
    shots: int | None = None
    """Training videos per class, or None."""
    seed: int | None = None
    """Seed of the training run or of the few-shot draw, or None."""
    classes: int
    """Number of classes that compete."""
    num_videos: int
    """Videos scored."""
    num_quarantined: int = 0
    """Videos of the split which could not be decoded; they are not part of the value."""
    listed: int | None = None
    """Videos that the split's published list names; None where the split holds all of them."""
    metric: str
    """top1, top5, mean_per_class, harmonic_mean, calibration_error, ..."""
    value: float
    """The number."""
    ci_low: float | None = None
    """Lower end of the 95% bootstrap interval over videos, or None."""
    ci_high: float | None = None
    """Upper end of the 95% bootstrap interval over videos, or None."""
    provenance: dict = field(default_factory=dict)
    """Recipe id, checkpoint digest, manifest digest, rows covered, command, versions, machine,
    time; what differs from the training (`not_as_trained`), and what the scored videos share with
    it (`tuned_on`, `shared_videos`, `shared_class_names`)."""
    tuned_on: str = ""
    """What the checkpoint was tuned on that shares a video or the dataset with what is scored, as
    "ucf101/train"; empty for none."""

    def __post_init__(self) -> None:
        if self.subset not in SUBSETS:
            raise UsageError(f"subset {self.subset!r} is none of {', '.join(SUBSETS)}")
        object.__setattr__(self, "feature_names", tuple(self.feature_names))

    @property
    def num_listed(self) -> int:
        """Videos that the split's list names, scored or not."""
        held = self.num_videos + self.num_quarantined + int(self.provenance.get("num_todo", 0))
        return held if self.listed is None else self.listed

    @property
    def train_split(self) -> str:
        """Split that a classifier was trained on, from the provenance; empty for text."""
        return "" if self.classifier == "text" else str(self.provenance.get("train_split", ""))

    @property
    def asked_protocol(self) -> str:
        """The protocol that was asked for: what `tuned` says is no zero-shot was asked as that."""
        return ZERO_SHOT if self.protocol == TUNED else self.protocol

    @property
    def key(self) -> tuple:
        """What makes two rows the same measurement.

        A classifier trained on another split is another measurement, though no field says so. A
        row that was called zero-shot before it was known to be tuned is the same.
        """
        fields = (getattr(self, name) for name in KEY_FIELDS if name != "protocol")
        return (self.asked_protocol, *fields, self.train_split)

    @property
    def checkpoint(self) -> str:
        """Digest of the checkpoint, from the provenance; empty where it is not known."""
        return str(self.provenance.get("checkpoint") or "")

    @property
    def nameless_key(self) -> tuple:
        """The key, whatever the feature set was called: names are given and taken later."""
        others = ("feature_names", "protocol")
        fields = (getattr(self, name) for name in KEY_FIELDS if name not in others)
        return self.asked_protocol, *fields, self.train_split, self.checkpoint


FIELDS = tuple(f.name for f in dataclasses.fields(ResultRow))
KEY_FIELDS = tuple(name for name in FIELDS if name not in VALUE_FIELDS)
_REQUIRED = frozenset(
    f.name
    for f in dataclasses.fields(ResultRow)
    if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
)
_TYPES = {f.name: f.type for f in dataclasses.fields(ResultRow)}
_TYPE_WORDS = {
    str: "a text",
    int: "a whole number",
    int | None: "a whole number or null",
    float: "a number",
    float | None: "a number or null",
    tuple[str, ...]: "a list of texts",
    dict: "an object",
}
_WHOLE_FIELDS = ("num_frames", "num_views", "shots", "seed", "classes", "num_videos", "listed")


def append_rows(folder: str | Path, rows: Iterable[ResultRow]) -> None:
    """Append rows to `folder/results.jsonl`, made if missing, and wait until they are on disk.

    A last line torn by a killed writer is cut off first, with a line in the log. Several
    processes may append at once. Raises UsageError when `folder` is not a folder.
    """
    lines = b"".join(_encode(row) for row in rows)
    if not lines:
        return
    path = made_folder(folder) / FILE_NAME
    is_new = not path.exists()
    # A file of its own: some versions of the library that locks it empty what they open.
    with locked(path.with_name(_LOCK)), open(path, "a+b", 0, opener=regular_opener) as file:
        _mend_tail(file, path)
        write_all(file.fileno(), lines)
        os.fsync(file.fileno())
    if is_new:
        _sync_folder(path.parent)


def made_folder(folder: str | Path) -> Path:
    """A results folder, made if missing; what stopped runs left half written in it goes.

    Raises UsageError when `folder` is no folder.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder} is not a folder; give another folder") from error
    # No deeper than results are: a store in the folder may be being written.
    for level in ("*", "*/*", "artefacts/*/*"):
        clear_temporaries(folder, level)
    return folder


def read_rows(folder: str | Path) -> list[ResultRow]:
    """Rows in the order they were first written; of several with one key, the last.

    A torn last line is left out with a line in the log. A folder without results gives an empty
    list. Raises UsageError when there is no such folder, DamagedError for any other bad line.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"no results folder {folder}: name one that `vifi evaluate` wrote")
    path = folder / FILE_NAME
    if not path.exists():
        return []
    rows: dict[tuple, ResultRow] = {}
    for row in _parse_lines(path):
        rows[row.key] = row
    return list(rows.values())


def read_frame(folder: str | Path) -> "pd.DataFrame":
    """`read_rows` as a table with one column per field, missing whole numbers as <NA>."""
    import pandas as pd

    rows = read_rows(folder)
    columns = {name: [getattr(row, name) for row in rows] for name in FIELDS}
    frame = pd.DataFrame(columns, columns=list(FIELDS))
    for name in (*_WHOLE_FIELDS, "num_quarantined"):
        frame[name] = frame[name].astype("Int64")
    for name in ("value", "ci_low", "ci_high"):
        frame[name] = frame[name].astype("float64")
    return frame


def to_record(row: ResultRow) -> dict:
    """A row as plain JSON values: not-a-number and infinity become None."""
    return {name: _plain(getattr(row, name)) for name in FIELDS}


def from_record(record: Mapping) -> ResultRow:
    """A row from plain JSON values; raises UsageError that names what does not fit."""
    if not isinstance(record, Mapping):
        raise UsageError("not a result row: no object")
    unknown, missing = set(record) - set(FIELDS), _REQUIRED - set(record)
    if unknown or missing:
        told = {"unknown": unknown, "missing": missing}
        parts = [f"{what} {first_few(sorted(n), 3, 30)}" for what, n in told.items() if n]
        raise UsageError(f"not a result row: {', '.join(parts)}")
    values = dict(record)
    if values["value"] is None:
        values["value"] = math.nan
    for name, value in values.items():
        _check_type(name, value, _TYPES[name])
    _check_type("num_todo", values.get("provenance", {}).get("num_todo", 0), int)
    return ResultRow(**values)


def _check_type(name: str, value: object, kind: object) -> None:
    if kind == tuple[str, ...]:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    else:
        accepted = kind | int if kind in (float, float | None) else kind
        # To Python true and false are whole numbers.
        fits = isinstance(value, accepted) and not isinstance(value, bool)
    if not fits:
        raise UsageError(
            f"not a result row: {name} {short(repr(value))} is not {_TYPE_WORDS[kind]}"
        )


def _encode(row: ResultRow) -> bytes:
    text = json.dumps(to_record(row), allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode("utf-8")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _parse_lines(path: Path) -> Iterator[ResultRow]:
    lines = read_regular(path).split(b"\n")
    tail = lines.pop()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _parse_line(line, path, number)
    if tail and not _is_row(tail):
        logger.warning("%s: the last line was torn by a killed writer and is left out", path)
    elif tail:
        yield _parse_line(tail, path, len(lines) + 1)


def _parse_line(line: bytes, path: Path, number: int) -> ResultRow:
    try:
        return from_record(parse_json(line))
    except UsageError as error:
        raise DamagedError(f"{path}, line {number}: {error}; {_REMEDY}") from error
    except ValueError as error:
        message = f"{path}, line {number}: not a result row ({error}); {_REMEDY}"
        raise DamagedError(message) from error


def _is_row(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False


def _mend_tail(file, path: Path) -> None:
    """End the file with a newline: complete a whole last row, cut off a torn one."""
    file.seek(0)
    content = file.read()
    tail = content.rpartition(b"\n")[2]
    if not tail:
        return
    if _is_row(tail):
        write_all(file.fileno(), b"\n")
        return
    logger.warning("%s: the last line was torn by a killed writer and is removed", path)
    file.truncate(len(content) - len(tail))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
