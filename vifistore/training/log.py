"""What a run says while it goes: a bar, a CSV file, and TensorBoard's files if wanted."""

import csv
import io
import logging
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from vifistore.errors import UsageError
from vifistore.files import read_regular, regular_opener
from vifistore.progress import Progress
from vifistore.store.key_value.durable import put_stages

logger = logging.getLogger("vifi")

# The bar shows a mean over about so many steps.
_SMOOTHING_STEPS = 20


@dataclass(frozen=True, kw_only=True)
class StepRecord:
    """One step, as a row of the log."""

    step: int
    """Steps done."""
    epoch: float
    """Epochs done."""
    loss: float
    """Mean loss of the views, before the step; NaN without a view."""
    accuracy: float
    """Share of views whose first class is right; with mixed videos, the larger part's."""
    learning_rate: float
    """Learning rate of the step."""
    gradient_norm: float
    """Length of the gradient of all trained parameters."""
    num_views: int
    """Videos that were read."""
    seconds: float
    """Duration of the step."""
    data_seconds: float
    """Part of it in which the model waited for videos."""


class Log:
    """Writes a row per step; going on from a step forgets the rows behind it."""

    def __init__(self, path: Path, *, num_steps: int, first_step: int, tensorboard: bool) -> None:
        self._board = _board(path.parent) if tensorboard else None
        _forget_rows_behind(path, first_step)
        self._file = open(  # noqa: SIM115 - see `close`
            path, "a", newline="", encoding="utf-8", opener=regular_opener
        )
        self._rows = csv.DictWriter(self._file, [field.name for field in fields(StepRecord)])
        if not self._file.tell():
            self._rows.writeheader()
        self._bar = Progress(total=num_steps, initial=first_step, unit="step", desc="train")
        self._shown: StepRecord | None = None
        self._seconds = self._data_seconds = 0.0

    def write(self, record: StepRecord, *, num_skipped: int) -> None:
        """Add a step."""
        self._rows.writerow({key: repr(value) for key, value in asdict(record).items()})
        self._file.flush()
        self._seconds += record.seconds
        self._data_seconds += record.data_seconds
        if self._board:
            for key, value in asdict(record).items():
                self._board.add_scalar(key, value, record.step)
        self._bar.set_postfix(self._words(record, num_skipped), refresh=False)
        self._bar.update()

    def at_checkpoint(self, step: int, means: dict) -> None:
        """Say how it goes where no bar does, as in the log of a batch system."""
        if not self._bar.disable:
            return
        rate = self._shown.num_views / max(self._shown.seconds, 1e-9) if self._shown else 0.0
        words = "step %d of %d: loss %.3f, accuracy %.1f%%, %.1f videos/s, %s"
        values = (means["loss"], 100 * means["accuracy"], rate, self._bar.left)
        logger.info(words, step, self._bar.total, *values)

    def _words(self, record: StepRecord, num_skipped: int) -> dict[str, str]:
        self._shown = record if self._shown is None else _moved(self._shown, record)
        words = {
            "loss": f"{self._shown.loss:.3f}",
            "accuracy": f"{self._shown.accuracy:.1%}",
            "videos/s": f"{self._shown.num_views / max(self._shown.seconds, 1e-9):.1f}",
            "waiting": f"{self.data_share:.0%}",
        }
        return words | ({"skipped": str(num_skipped)} if num_skipped else {})

    @property
    def data_share(self) -> float:
        """Share of the time in which the model waited for videos."""
        return self._data_seconds / self._seconds if self._seconds else 0.0

    def close(self) -> None:
        """End the bar and the files."""
        self._bar.close()
        self._file.close()
        if self._board:
            self._board.close()


def _moved(shown: StepRecord, new: StepRecord) -> StepRecord:
    """A running mean of what the bar shows."""
    weight = 1 / _SMOOTHING_STEPS
    old, now = asdict(shown), asdict(new)
    return StepRecord(**{key: old[key] + weight * (now[key] - old[key]) for key in old})


def _forget_rows_behind(path: Path, step: int) -> None:
    """Keep the rows of the first `step` steps; a torn last line goes, too."""
    if not path.exists():
        return
    kept = io.StringIO(newline="")
    rows = csv.reader(io.StringIO(read_regular(path).decode("utf-8"), newline=""))
    writer = csv.writer(kept)
    num_fields = len(fields(StepRecord))
    for number, row in enumerate(rows):
        if number == 0 or (len(row) == num_fields and int(row[0]) <= step):
            writer.writerow(row)
    put_stages([{path: [kept.getvalue().encode("utf-8")]}])


def _board(folder: Path):
    # TensorBoard's own import of TensorFlow, if it is installed, takes seconds and prints.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "TensorBoard is not installed: pip install 'vifistore[tensorboard]', or leave out "
            "--tensorboard"
        ) from error
    return SummaryWriter(folder / "tensorboard")
