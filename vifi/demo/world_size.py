"""How large the demo's world is; a size changes how sure its numbers are, not what is done."""

from dataclasses import dataclass, fields

from vifistore.errors import Faults


@dataclass(frozen=True, kw_only=True)
class WorldSize:
    """Sizes of a world that --world makes."""

    datasets: tuple[str, ...] = ("mini-k400",)
    """What is drawn: mini-k400, mini-hmdb51, mini-ucf101, mini-k600, mini-ssv2."""
    classes: int = 24
    """Classes of a dataset at most; those of mini-k400 are four shapes for each of six motions."""
    train_clips: int = 40
    """Training clips per class of mini-k400."""
    test_clips: int = 24
    """Test clips per class of mini-k400."""
    other_train_clips: int = 24
    """Training clips per class of each other dataset."""
    other_test_clips: int = 8
    """Clips per class of each of their test splits."""
    stills: int = 8000
    """Captioned stills that the tiny CLIP is trained on."""
    epochs: int = 7
    """Times it sees them."""
    still_batch: int = 64
    """Stills per step. What limits a model so small is its number of steps."""

    def __post_init__(self) -> None:
        faults = Faults()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int):
                name = f"--{field.name.replace('_', '-')}"
                faults.check(value > 0, f"{name} is {value}; give 1 or more")
        faults.refuse()
