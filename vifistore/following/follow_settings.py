"""What a follower of checkpoints can be told. Imports no torch, so that --help is quick."""

from dataclasses import dataclass, field

from vifistore.errors import Faults
from vifistore.models.load_settings import HF_PREFIX, WeightsSettings

_LONGEST_POLL = 86400.0


@dataclass(frozen=True, kw_only=True)
class FollowSettings:
    """How long a folder of checkpoints is followed, and what its files are."""

    model: str = ""
    """OpenCLIP model name of files that do not say what they are, or an encoder of yours; ours
    do."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    once: bool = False
    """Extract the checkpoints that are there now, and end."""
    until_done: bool = False
    """End when training has: when FOLDER/finished.json is there, or --trainer runs no more."""
    trainer: int = 0
    """Process id of the training run on this machine, for --until-done; 0 for none."""
    poll: float = 5.0
    """Seconds between two looks at the folder."""

    def __post_init__(self) -> None:
        faults = Faults()
        # Not a number is refused, too: no comparison holds for it.
        message = f"--poll is {self.poll}; give seconds above 0, up to {_LONGEST_POLL:.0f}"
        faults.check(0 < self.poll <= _LONGEST_POLL, message)
        message = (
            "a model of transformers has its weights in a folder, and files are followed here; "
            "give the OpenCLIP model that they fit, or each folder to vifi extract: --model hf:DIR"
        )
        faults.check(not self.model.startswith(HF_PREFIX), message)
        message = f"--trainer is {self.trainer}; give a process id, and --until-done beside it"
        faults.check(self.trainer == 0 or (self.trainer > 0 and self.until_done), message)
        message = "--once and --until-done are two things; give one of them"
        faults.check(not (self.once and self.until_done), message)
        faults.refuse()
