"""What `vifi extract` can be told. Imports no torch, so that --help is quick."""

import math
from dataclasses import dataclass
from pathlib import Path

import tyro

from vifistore.errors import Faults
from vifistore.models.wording import check_templates

PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class EncodeSettings:
    """How videos become embeddings, whatever the model."""

    frames: int = 32
    """Frames sampled per clip."""
    clips: int = 1
    """Times a video is sampled, each at another phase of its whole length."""
    crops: int = 1
    """Squares cut per frame: 1 (centre) or 3 (left, centre, right)."""
    preprocess: str = "openclip"
    """openclip: the tower's own; paper: ViFi-CLIP's (short side 256, ImageNet statistics)."""
    precision: str = "auto"
    """Arithmetic of the image tower: fp32, bf16, or auto (bf16 where the hardware has it)."""
    decoder: str = "decord"
    """Library that decodes: decord, pyav or torchcodec."""
    device: str = "auto"
    """cpu, cuda, cuda:1, or auto."""
    workers: int = 0
    """Decoding processes; 0 chooses from the number of cores."""
    batch: int = 0
    """Frames per forward pass; 0 suits the device. Does not change the embeddings' id."""
    compile: bool = True
    """On a GPU: compile the image tower into CUDA graphs, which takes a minute once."""
    timeout: float = 120.0
    """Seconds after which a video that does not decode is quarantined; as often again for every
    further 100 MB of its file."""
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt of a class name, {} standing for it; repeat for several. Default: a photo of a {}."""
    frame_cache: Path | None = None
    """Folder that keeps decoded frames for later checkpoints; safe to delete at any time."""
    frame_cache_gb: float = 50.0
    """Most that the folder may hold, GB; what was used longest ago goes first."""

    def __post_init__(self) -> None:
        found = Faults()
        for field in ("frames", "clips"):
            value = getattr(self, field)
            found.check(value >= 1, f"--{field} is {value}; give 1 or more")
        for field in ("batch", "workers"):
            value = getattr(self, field)
            found.check(value >= 0, f"--{field} is {value}; give 0 or more")
        found.check(self.crops in (1, 3), f"--crops is {self.crops}; give 1 or 3")
        # Not a number is refused, too: no comparison holds for it.
        told = f"--timeout is {self.timeout}; give a positive number of seconds"
        found.check(self.timeout > 0, told)
        told = f"--frame-cache-gb is {self.frame_cache_gb}; give a positive size"
        found.check(0 < self.frame_cache_gb < math.inf, told)
        for flag, value, choices in (
            ("preprocess", self.preprocess, ("openclip", "paper")),
            ("precision", self.precision, PRECISIONS),
            ("decoder", self.decoder, ("decord", "pyav", "torchcodec")),
        ):
            told = f"--{flag} is {value!r}; give one of {', '.join(choices)}"
            found.check(value in choices, told)
        found.attempt(check_templates, self.template)
        found.refuse()

    @property
    def num_views(self) -> int:
        """Views per video: clips x crops."""
        return self.clips * self.crops


@dataclass(frozen=True, kw_only=True)
class ExtractSettings(EncodeSettings):
    """Which model makes embeddings of videos, and how."""

    model: str
    """OpenCLIP model name, for instance ViT-B-16-quickgelu."""
    pretrained: str
    """Weights: a tag such as openai, a .safetensors or .pt file, or none for random ones."""
    name: str = ""
    """Name of the feature set; empty chooses one from model, checkpoint, frames and views."""
