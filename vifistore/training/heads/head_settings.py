"""What decides the training of a head. Imports no torch, so that --help is quick."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Literal

from vifistore.errors import Faults

# More is a mistake, or a file that wants memory: CLIP's own towers have 12 to 48.
MOST_LAYERS = 64

HeadKind = Literal["a5", "a6", "actionclip-mean", "actionclip-transf"]

# Those that learn prompts of class names.
PROMPTED_HEADS = ("a5", "a6")


def _check(
    faults: Faults, settings: object, field: str, holds: Callable[[float], bool], allowed: str
) -> None:
    value = getattr(settings, field)
    message = f"--{field.replace('_', '-')} is {value}; give {allowed}"
    faults.check(value is None or holds(value), message)


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """Settings of a head that is fitted step by step; see HeadSettings for what each means."""

    epochs: int
    batch_size: int
    learning_rate: float
    warmup_epochs: float
    final_ratio: float
    weight_decay: float
    second_beta: float


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How a head is trained; what is not given suits the head, and is said as training begins."""

    epochs: int | None = None
    """Times every video is seen."""
    batch_size: int | None = None
    """Videos per step; what is left over at the end of an epoch is a smaller step."""
    learning_rate: float | None = None
    """Highest learning rate."""
    warmup_epochs: float | None = None
    """Epochs over which the learning rate rises from 0; fewer where --epochs has no room."""
    final_ratio: float | None = None
    """Learning rate at the last step, as a fraction of the highest; between them a half cosine."""
    weight_decay: float | None = None
    """Decoupled weight decay of AdamW."""
    second_beta: float | None = None
    """Decay rate of AdamW's average of squares; that of its average is 0.9."""
    layers: int | None = None
    """Transformer blocks over the frames."""
    prompts: int | None = None
    """Learned vectors in front of a class name, and as many behind it (a5, a6)."""
    seed: int = 0
    """Seeds the first weights, the order of videos, and what is drawn at random."""

    def __post_init__(self) -> None:
        faults = Faults()
        for field in ("epochs", "batch_size", "learning_rate", "layers"):
            _check(faults, self, field, lambda value: value > 0, "above 0")
        for field in ("warmup_epochs", "weight_decay", "prompts", "seed"):
            _check(faults, self, field, lambda value: value >= 0, "0 or more")
        _check(faults, self, "layers", lambda value: value <= MOST_LAYERS, f"{MOST_LAYERS} or less")
        _check(faults, self, "final_ratio", lambda value: 0 <= value <= 1, "from 0 to 1")
        _check(faults, self, "second_beta", lambda value: 0 <= value < 1, "from 0 to below 1")
        faults.refuse()

    def of_fit(self) -> FitSettings:
        """Those that fitting takes, of settings that are filled in."""
        values = {field.name: getattr(self, field.name) for field in fields(FitSettings)}
        assert None not in values.values(), "fill the settings in for a head first"
        return FitSettings(**values)

    def of(self, kind: HeadKind) -> "HeadSettings":
        """These settings, what is not given filled in for a head.

        Raises UsageError for one that means nothing to it, and for a warm-up that never ends.
        """
        default = DEFAULTS[kind]
        given = {field: value for field, value in vars(self).items() if value is not None}
        faults = Faults()
        for field in given:
            message = f"--{field.replace('_', '-')} has no meaning for {kind}; leave it out"
            faults.check(getattr(default, field) is not None, message)
        filled = replace(default, **given)
        if default.epochs is not None:
            usual, fit = default.of_fit(), filled.of_fit()
            if self.warmup_epochs is None and fit.warmup_epochs >= fit.epochs:
                # The same share of a shorter run.
                share = usual.warmup_epochs / usual.epochs
                filled = replace(filled, warmup_epochs=share * fit.epochs)
                fit = filled.of_fit()
            message = f"--warmup-epochs is {fit.warmup_epochs} of {fit.epochs} epochs; give less"
            faults.check(fit.warmup_epochs < fit.epochs, message)
        faults.refuse()
        return filled


# A5's are those of the command that its README publishes for HMDB51 (ju-chen/Efficient-Prompt at
# 1f69a18: --lr 1e-4 --tfm_layers 1 --num_iterations 1100, a batch of 64, 16 vectors on each side),
# whose 1,100 updates are 20 epochs; the weight decay is its code's, where the rate stays as it is.
# A6 is what the paper's Table 4 calls the row of the same work on Kinetics-400; neither the paper
# nor that code says in what it differs from A5. Here it is the same parts at the program's own
# defaults: 1e-3, two layers, 100,000 updates of 64 videos, which are 27 epochs of Kinetics-400.
# ActionCLIP's are those of its code but for the rate: it gives its head 5e-5, over 50 epochs in
# which both towers train. With towers that stay as they are, ten times that rate learnt more from
# the demo's clips in 20 epochs than its own in 50 (top-1 39.4 against 28.6).
_A5 = HeadSettings(
    epochs=20,
    batch_size=64,
    learning_rate=1e-4,
    warmup_epochs=0.0,
    final_ratio=1.0,
    weight_decay=0.01,
    second_beta=0.999,
    layers=1,
    prompts=16,
)
DEFAULTS: dict[HeadKind, HeadSettings] = {
    "a5": _A5,
    "a6": replace(_A5, epochs=27, learning_rate=1e-3, layers=2),
    "actionclip-mean": HeadSettings(),
    "actionclip-transf": HeadSettings(
        epochs=20,
        batch_size=64,
        learning_rate=5e-4,
        warmup_epochs=2.0,
        final_ratio=0.0,
        weight_decay=0.2,
        second_beta=0.98,
        layers=6,
    ),
}
