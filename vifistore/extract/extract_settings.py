"""What `vifi extract` can be told. Imports no torch, so that --help is quick."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, get_args

import tyro

from vifistore.cleaning import CLEANINGS
from vifistore.errors import Faults
from vifistore.frames.decoders.decoder_names import NVDEC, ExtractDecoder
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.wording import check_templates
from vifistore.store.identity import FAMILIES, PAPER, SHORTEST, SQUASH
from vifistore.store.schema import MOST_FRAMES

# More than any camera of films.
_MOST_FPS = 1000
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class PixelSettings:
    """From a frame to the tower's input, where that is to be another than the checkpoint's own."""

    preprocess: str = ""
    """openclip: the tower's own, of its tag or its model's tags; paper: ViFi-CLIP's (short side
    256, ImageNet statistics). Default: as the checkpoint was trained, else openclip."""
    mean: tuple[float, float, float] | None = None
    """Mean of red, green and blue, of pixels from 0 to 1. Default: that of the preprocessing."""
    std: tuple[float, float, float] | None = None
    """Their standard deviation. Default: that of the preprocessing."""
    interpolation: str = ""
    """bicubic or bilinear. Default: that of the preprocessing."""
    resize_mode: str = ""
    """shortest (resize the shorter side, cut squares) or squash (make the whole frame a square).
    Default: that of the preprocessing."""

    def __post_init__(self) -> None:
        found = Faults()
        self._note(found)
        found.refuse()

    def _note(self, found: Faults) -> None:
        _note_choice(found, "preprocess", self.preprocess, ("", *FAMILIES))
        _note_choice(found, "interpolation", self.interpolation, ("", "bicubic", "bilinear"))
        _note_choice(found, "resize-mode", self.resize_mode, ("", SHORTEST, SQUASH))
        for flag, colour in (("mean", self.mean), ("std", self.std)):
            least = 0 if flag == "std" else -math.inf
            is_colour = not colour or all(least < number < math.inf for number in colour)
            found.check(is_colour, f"--{flag} is {colour}; give three numbers for pixels of 0 to 1")
        told = "--resize-mode has no meaning for --preprocess paper; leave one out"
        found.check(self.preprocess != PAPER or not self.resize_mode, told)

    @property
    def parts(self) -> dict:
        """The parts of a preprocessing that were given."""
        named = {name: getattr(self, name) for name in ("mean", "std", "interpolation")}
        named |= {"resize_mode": self.resize_mode}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True, kw_only=True)
class EncodeSettings(PixelSettings):
    """How videos become embeddings, whatever the model."""

    frames_flag: ClassVar[str] = "frames"
    """What the flag of `frames` is called."""
    frames: int | None = None
    """Frames sampled per clip. Default: as many as the checkpoint was trained with, else 32. With
    --fps or --every the most that a row may have, by default what the longest has."""
    fps: float | None = None
    """Frames a second, at fixed times of each row, in the place of a number of frames: rows have as
    many as they are long, and what they lack of the longest counts nowhere. None takes back a rate
    that was given before."""
    every: int | None = None
    """Every so many of the frames of a file, as --fps: N takes frames 0, N, 2N and so on."""
    clips: int = 1
    """Times a video is sampled, each at another phase of its whole length; with a --stride, each in
    another stretch of it."""
    stride: int = 0
    """Frames of the video from one of a clip to the next, as encoders of whole clips may want it;
    0 spreads them over the video."""
    crops: int = 1
    """Squares cut per frame: 1 (centre) or 3 (left, centre, right)."""
    precision: str = "auto"
    """Arithmetic of the image tower: fp32, bf16, or auto (bf16 where the hardware has it)."""
    decoder: str = "decord"
    """Library that decodes: decord, pyav or torchcodec; or torchcodec-cuda: the video engines of an
    NVIDIA GPU, beside CPU cores."""
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
    worker_memory_gb: float = 0.0
    """Memory that a decoding process may take, GB, else its video is quarantined; 0 is its share of
    three quarters of the machine's, at least 2."""
    template: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Prompt of a class name, {} standing for it; repeat for several. Default: the one that the
    checkpoint was trained with, else a photo of a {}."""
    class_names: str = ""
    """Words of a class name in a prompt: as-is, spaces (no underscores) or words (CamelCase split
    as well). Default: as the checkpoint was trained, else as-is."""
    keep_tokens: bool = False
    """Keep what texts that follow the video are made from (X-CLIP: its patch tokens, some 200 KB a
    view): classes that come later are then scored without encoding videos again. vifi extract
    --dry-run tells both costs."""
    frame_cache: Path | None = None
    """Folder that keeps decoded frames for later checkpoints; safe to delete at any time."""
    frame_cache_gb: float = 50.0
    """Most that the folder may hold, GB; what was used longest ago goes first."""
    claims: bool = False
    """Of a new set on a disk that machines share: keep them apart by claims, not by locks, where
    the disk's locks cannot be trusted. The set remembers it; in a bucket it is always so."""

    def _note(self, found: Faults) -> None:
        super()._note(found)
        for flag, value in ((self.frames_flag, self.frames), ("clips", self.clips)):
            found.check(value is None or value >= 1, f"--{flag} is {value}; give 1 or more")
        flag = self.frames_flag
        told = f"--{flag} is {self.frames}; give {MOST_FRAMES} or fewer, counted in 16 bits"
        found.check(self.frames is None or self.frames <= MOST_FRAMES, told)
        self._note_rate(found)
        for name in ("batch", "workers", "stride"):
            value = getattr(self, name)
            found.check(value >= 0, f"--{name} is {value}; give 0 or more")
        told = f"--clips is {self.clips}; give {MOST_FRAMES} or fewer"
        found.check(self.clips <= MOST_FRAMES, told)
        told = f"--stride is longer than any video; give {MOST_FRAMES} or fewer frames"
        found.check(self.stride <= MOST_FRAMES, told)
        found.check(self.crops in (1, 3), f"--crops is {self.crops}; give 1 or 3")
        # Not a number is refused, too: no comparison holds for it.
        told = f"--timeout is {self.timeout}; give a positive number of seconds"
        found.check(self.timeout > 0, told)
        told = f"--worker-memory-gb is {self.worker_memory_gb}; give 0 or more"
        found.check(0 <= self.worker_memory_gb < math.inf, told)
        told = f"--frame-cache-gb is {self.frame_cache_gb}; give a positive size"
        found.check(0 < self.frame_cache_gb < math.inf, told)
        _note_choice(found, "class-names", self.class_names, ("", *CLEANINGS))
        _note_choice(found, "precision", self.precision, PRECISIONS)
        _note_choice(found, "decoder", self.decoder, get_args(ExtractDecoder))
        told = f"--frame-cache keeps what CPU cores decode, not {NVDEC}; leave one of them out"
        found.check(self.frame_cache is None or self.decoder != NVDEC, told)
        found.attempt(check_templates, self.template)

    def _note_rate(self, found: Faults) -> None:
        fps, every = self.fps, self.every
        remedy = "or leave it out for a number of --frames"
        if fps is not None:
            told = f"give a number of frames a second above 0, at most {_MOST_FPS}, {remedy}"
            found.check(0 < fps <= _MOST_FPS, f"--fps is {fps:g}; {told}")
        if every is not None:
            found.check(every >= 1, f"--every is {every}; give 1 or more, {remedy}")
        found.check(not (self.fps and self.every), "--fps and --every are two rates; give one")
        is_plain = self.clips == 1 and not self.stride
        told = f"{self.rate} takes all of a row at once; leave --clips and --stride out"
        found.check(not self.has_rate or is_plain, told)

    @property
    def has_rate(self) -> bool:
        """Whether a row has as many frames as it is long."""
        return bool(self.fps or self.every)

    @property
    def rate(self) -> str:
        """The flag that says which rate."""
        return f"--every {self.every}" if self.every else f"--fps {self.fps or 0:g}"

    @property
    def num_frames(self) -> int:
        """Frames sampled per clip, of settings that leave nothing open any more."""
        assert self.frames is not None, "settle the settings by a checkpoint first"
        return self.frames

    @property
    def num_views(self) -> int:
        """Views per video: clips x crops."""
        return self.clips * self.crops


@dataclass(frozen=True, kw_only=True)
class ExtractSettings(EncodeSettings):
    """Which model makes embeddings of videos, and how."""

    model: str
    """OpenCLIP model name, for instance ViT-B-16-quickgelu; hf:ORG/NAME or hf:FOLDER of
    transformers; or an encoder of yours: module:function, or its entry point."""
    pretrained: str = ""
    """Weights: a tag such as openai, a .safetensors or .pt file, or none for random ones. hf:
    models have theirs: give nothing, or a revision of the hub; to an encoder of yours whatever it
    takes."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    name: str = ""
    """Name of the feature set. Default: that of a run's checkpoint, as in full@step-500, or one of
    model, weights, frames and views, as in ViT-B-16@openai.32f."""


def _note_choice(found: Faults, flag: str, value: str, choices: tuple[str, ...]) -> None:
    told = f"--{flag} is {value!r}; give one of {', '.join(filter(None, choices))}"
    found.check(value in choices, told)
