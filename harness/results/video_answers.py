"""What every video of a score was taken for: for comparisons, and for what the page tells of them.

    VideoAnswers.read("results", row)       # of the score that a row was taken of, or None

One file a score, named by `ResultRow.score_name`, which says nothing of the setting: the rows do.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from harness.results.csv_tables import read_table, write_table
from harness.results.result_row import ResultRow
from harness.results.whole_files import FOLDER

if TYPE_CHECKING:
    import pandas as pd

DIGEST = "answers"
"""Entry of a row's provenance: the digest of what was answered."""
_ANSWERS = "answers"
_COLUMNS = ("id", "row", "source", "label", "predicted")


@dataclass(frozen=True, kw_only=True)
class VideoAnswers:
    """The answers of one score."""

    name: str
    """That of the score."""
    table: "pd.DataFrame"
    """Every video once: id, row (of the dataset), source (number of the file, group or film that it
    was cut from, with others or alone), label, predicted."""

    @classmethod
    def read(cls, results: str | Path, row: ResultRow, *, exact: bool = False) -> Self | None:
        """Those of the score that a row was taken of; None where they are not kept, and with
        `exact` where they are of an earlier score. Raises DamagedError.
        """
        folder = Path(results) / FOLDER / _ANSWERS
        path = folder / f"{row.score_name}.csv"
        # A dataset of a file from elsewhere may be called by a path.
        if path.parent.resolve() != folder.resolve() or not path.is_file():
            return None
        table = read_table(path, _COLUMNS, ("row", "source"))
        if exact and not _is_of(row, table):
            return None
        # A list may name a video twice.
        once = table.drop_duplicates(subset=["id"], ignore_index=True)
        return cls(name=row.score_name, table=once)

    def write(self, results: Path) -> None:
        """Write them into a results folder, in place of those of the same setting."""
        write_table(results / FOLDER / _ANSWERS / f"{self.name}.csv", self.table)


def answers_digest(
    rows: Iterable[int], labels: Iterable[object], predicted: Iterable[object]
) -> str:
    """The digest of answers: rows of the dataset, names of classes, in the order of the score."""
    told = json.dumps([list(map(int, rows)), [*map(_text, labels)], [*map(_text, predicted)]])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _text(value: object) -> str:
    """A name; what is empty is read back from a file as not-a-number."""
    return value if isinstance(value, str) else ""


def _is_of(row: ResultRow, table: "pd.DataFrame") -> bool:
    """Whether answers are those of a row: rows and answers are written one after the other, and
    what is killed between leaves those of before. Of a row of an earlier version, which tells no
    digest, the number has to be that of the answers."""
    if digest := row.provenance.get(DIGEST):
        return digest == answers_digest(*(table[name] for name in ("row", "label", "predicted")))
    if len(table) != row.num_videos:
        return False
    is_right = table["label"].to_numpy() == table["predicted"].to_numpy()
    share = float(is_right.mean()) if len(table) else math.nan
    return row.metric != "top1" or math.isclose(share, row.value, abs_tol=1e-6)
