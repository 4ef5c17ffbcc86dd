"""What decides a training run."""

from dataclasses import dataclass
from typing import Literal, get_args

from vifistore.errors import UnknownNameError, UsageError

Trains = Literal["full", "image", "text"]
Fusion = Literal["embedding", "decision", "image"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One fine-tuning run; the defaults are the paper's zero-shot setting on Kinetics-400."""

    trains: Trains = "full"
    """What is trained: both towers and the logit scale (full), or one tower alone."""
    fusion: Fusion = "embedding"
    """Where frames are merged: embedding averages frame embeddings, decision averages frame logits,
    image scores every frame by itself."""
    template: str = "a photo of a {}."
    """Text of a class; {} stands for its name."""
    num_frames: int = 32
    """Frames sampled from a video at each step, one at random out of each of as many segments."""
    learning_rate: float = 8e-6
    """Highest learning rate, reached when warm-up ends."""
    batch_size: int = 256
    """Videos per step; what is left over at the end of an epoch is a smaller step."""
    epochs: int = 10
    """Times every video is seen."""
    warmup_epochs: float = 5.0
    """Epochs over which the learning rate rises from 0; after them it follows a half cosine."""
    final_ratio: float = 0.01
    """Learning rate at the last step, as a fraction of the highest."""
    weight_decay: float = 1e-3
    """Decoupled weight decay of AdamW, on every parameter that is trained."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay rates of AdamW's two averages."""
    flip: float = 0.5
    """Probability that a view is mirrored left to right; for pixels only."""
    label_smoothing: float = 0.1
    """Share of every target spread evenly over all classes."""
    seed: int = 1024
    """Seeds the order of videos and the choice of frames."""

    def __post_init__(self) -> None:
        _check_name("what to train", self.trains, Trains)
        _check_name("fusion", self.fusion, Fusion)
        for field in ("num_frames", "batch_size", "epochs", "learning_rate"):
            _check(getattr(self, field) > 0, field, "above 0", getattr(self, field))
        for field in ("flip", "label_smoothing", "final_ratio"):
            _check(0 <= getattr(self, field) <= 1, field, "from 0 to 1", getattr(self, field))
        in_range = 0 <= self.warmup_epochs < self.epochs
        _check(
            in_range, "warmup_epochs", f"from 0 to below epochs={self.epochs}", self.warmup_epochs
        )
        _check(
            self.template.count("{}") == 1, "template", "a text with one {} in it", self.template
        )


def _check(holds: bool, field: str, wanted: str, value: object) -> None:
    if not holds:
        raise UsageError(f"{field} is {value!r}; give {wanted}.")


def _check_name(kind: str, name: str, names: object) -> None:
    if name not in get_args(names):
        raise UnknownNameError(kind, name, get_args(names))
