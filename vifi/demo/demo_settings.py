"""How large a demo is."""

from dataclasses import dataclass

from vifistore.training.training_settings import TrainSettings


@dataclass(frozen=True, kw_only=True)
class DemoScale:
    """Sizes of a demo; a size changes how sure its numbers are, not what is done."""

    model: str = "vifi-tiny"
    """OpenCLIP model config that is trained from nothing."""
    seed: int = 0
    """Seed of the pictures, the weights and the order of training."""
    classes: int = 24
    """Classes of clips: four shapes for each of up to six motions."""
    train_clips: int
    """Training clips per class."""
    test_clips: int
    """Test clips per class."""
    num_frames: int = 8
    """Frames per clip that are encoded and scored."""
    num_stills: int
    """Captioned stills that the model is trained on first."""
    pretraining: TrainSettings
    """How it is trained on them."""
    tuning: TrainSettings
    """How it is fine-tuned on the clips; what trains and the fusion vary."""
    extras: bool = False
    """Also learn prompts, blend the tuned model with its start, and train every system that the
    paper compares, on few clips and on half of the classes too."""
    shots: int = 16
    """Clips of a class that these few are."""
    few_shot_epochs: int = 30
    """Epochs of training on them."""

    @property
    def num_test_clips(self) -> int:
        """Clips that are encoded and scored."""
        return self.classes * self.test_clips

    @property
    def num_clips(self) -> int:
        """All clips written."""
        return self.classes * (self.train_clips + self.test_clips)


def _pretraining(batch_size: int, epochs: int) -> TrainSettings:
    return TrainSettings(
        template="{}",
        num_frames=1,
        learning_rate=1.5e-3,
        batch_size=batch_size,
        epochs=epochs,
        warmup_epochs=0.5,
        # Captions speak of left and right.
        flip=0.0,
        label_smoothing=0.0,
        seed=0,
    )


def _tuning(batch_size: int, epochs: int) -> TrainSettings:
    return TrainSettings(
        num_frames=4,
        learning_rate=1.5e-3,
        batch_size=batch_size,
        epochs=epochs,
        warmup_epochs=1.0,
        seed=0,
    )


# What limits a model this small is its number of steps: small batches learn more per second, and
# more clips help more than more epochs.
PLAIN = DemoScale(
    train_clips=40,
    test_clips=24,
    num_stills=8_000,
    pretraining=_pretraining(batch_size=64, epochs=7),
    tuning=_tuning(batch_size=16, epochs=8),
)
QUICK = DemoScale(
    classes=12,
    train_clips=20,
    test_clips=16,
    num_stills=4_000,
    pretraining=_pretraining(batch_size=32, epochs=4),
    tuning=_tuning(batch_size=8, epochs=5),
)
FULL = DemoScale(
    extras=True,
    train_clips=80,
    test_clips=60,
    num_stills=20_000,
    pretraining=_pretraining(batch_size=64, epochs=10),
    tuning=_tuning(batch_size=16, epochs=12),
)
