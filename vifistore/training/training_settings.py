"""What decides the numbers of a training run. Imports no torch, so that --help is quick."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, get_args

import tyro

from vifistore.errors import Faults, UnknownNameError
from vifistore.store.schema import MOST_FRAMES

# CLIP's own towers have 12 to 48.
MOST_BLOCKS = 64

Trains = Literal["full", "image", "text", "prompts"]
Fusion = Literal["embedding", "decision", "image"]
Preprocess = Literal["openclip", "paper"]
ClassNames = Literal["as-is", "spaces", "words"]
SystemName = Literal["vifi-clip", "x-clip", "actionclip"]
FrameHead = Literal["mean", "transf", "lstm", "conv1d", "transf-cls"]


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """One fine-tuning run; equal settings, data and weights give equal weights on one machine."""

    system: SystemName = "vifi-clip"
    """What is added to CLIP, what of it is trained, and by which loss: vifi-clip adds nothing but
    prompts, x-clip messages between frames and texts that follow the video, actionclip a head over
    frames."""
    trains: Trains = "full"
    """What is trained: both towers and the logit scale (full), one tower alone (image, text), or
    vision-language prompts in front of frozen towers (prompts)."""
    fusion: Fusion = "embedding"
    """Where frames are merged: embedding averages frame embeddings, decision averages frame logits,
    image scores every frame by itself."""
    template: str = "a photo of a {}."
    """Text of a class; {} stands for its name."""
    further_templates: tuple[str, ...] = ()
    """More texts of a class, for a system that has several."""
    class_names: ClassNames = "as-is"
    """How class names are cleaned for the template: as-is; spaces turns underscores into spaces;
    words splits CamelCase as well."""
    cut_context: bool = True
    """Give the text tower only as many tokens as the longest text has; padding behind the end of a
    text changes nothing but the time."""
    shots: int = 0
    """Refuse a training split with more videos of a class than this; 0 takes any."""
    num_frames: Annotated[int, tyro.conf.arg(name="frames")] = 32
    """Frames sampled from a video at each step, one at random out of each of as many segments."""
    candidate_frames: int = 0
    """Draw them out of this many evenly spaced frames of a video, which can be cached; 0 draws
    from all of its frames."""
    preprocess: Preprocess = "openclip"
    """From frames to pixels: the tower's own statistics (openclip), or ViFi-CLIP's (paper)."""
    learning_rate: float = 8e-6
    """Highest learning rate, reached when warm-up ends."""
    batch_size: int = 256
    """Videos per step."""
    micro_batch: int = 0
    """Videos per forward pass, also those that are mixed with each other; gradients add up to
    those of the whole batch. 0 is the batch, shared evenly by the processes; a GPU whose memory is
    too small for it takes it in parts."""
    epochs: int = 10
    """Times every video is seen."""
    drop_last: bool = False
    """Leave out what does not fill a step at the end of an epoch, instead of a smaller step."""
    warmup_epochs: float = 5.0
    """Epochs over which the learning rate rises from 0; after them it follows a half cosine. Not
    given, they shrink where --epochs leaves no room for them."""
    released_schedule: bool = False
    """Take the rate that the released code takes: a step late, and from a half cosine counted from
    the start of the run, so that it drops where warm-up ends; without it, the cosine starts there,
    at the highest rate."""
    released_data: bool = False
    """Take videos and colours as the released code takes them: some videos twice in an epoch, until
    8 GPUs have as many each; colours changed on 8 bits, hue in HSV, in an order that is drawn."""
    final_ratio: float = 0.01
    """Learning rate at the last step, as a fraction of the highest."""
    added_rate: float = 10.0
    """Learning rate of what the system adds to CLIP, in multiples of that of CLIP itself."""
    weight_decay: float = 1e-3
    """Decoupled weight decay of AdamW, on every parameter that is trained."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay rates of AdamW's two averages."""
    flip: float = 0.5
    """Probability that a video is mirrored left to right; for pixels only."""
    crop_scales: tuple[float, ...] = ()
    """Crops of these shares of the shorter side, at a corner or in the centre, one for all frames
    of a video; empty for the centre crop of an extraction."""
    jitter: float = 0.0
    """Probability of a change of brightness and contrast (up to 0.4), saturation (0.2) and hue
    (0.1)."""
    jitter_each_frame: bool = False
    """Draw that change anew for every frame, instead of once per video."""
    grayscale: float = 0.0
    """Probability that a video loses its colours."""
    mixing: bool = False
    """Mix the videos of a forward pass in pairs, with their targets: at even odds one CutMix box
    or one MixUp ratio for all of them and all of their frames."""
    label_smoothing: float = 0.1
    """Share of every target spread evenly over all classes."""
    image_prompts: int = 16
    """Learned vectors beside the patches of the image tower (prompts); 0 leaves it as it is."""
    image_depth: int = 9
    """Blocks of the image tower that have vectors of their own (prompts)."""
    text_prompts: int = 16
    """Learned vectors in front of the words of the text tower (prompts); 0 leaves it as it is. With
    1 to 3 the released code's text has more words: --template "photo of a {}.", "of a {}.",
    "a {}."."""
    text_depth: int = 9
    """Blocks of the text tower that have vectors of their own (prompts)."""
    frame_head: FrameHead = "transf"
    """What is made of the frames of a video before their mean (actionclip)."""
    frame_head_layers: int = 6
    """Blocks of a head that is a transformer (actionclip)."""
    ema: float = 0.0
    """Decay per step of an average of the weights, written beside every checkpoint; 0 for none."""
    blend: tuple[float, ...] = ()
    """Also write, at the end, the weights this far from the starting model (0) to the trained one
    (1); 0.5 is half-way."""
    seed: int = 1024
    """Seeds the order of videos, the choice of frames and every random change of them."""

    def __post_init__(self) -> None:
        faults = Faults()
        note_name(faults, "what to train", self.trains, Trains)
        note_name(faults, "fusion", self.fusion, Fusion)
        note_name(faults, "preprocessing", self.preprocess, Preprocess)
        note_name(faults, "cleaning of class names", self.class_names, ClassNames)
        check = partial(self._check, faults)
        note_name(faults, "head over frames", self.frame_head, FrameHead)
        few = 0 < self.frame_head_layers <= MOST_BLOCKS
        check("frame_head_layers", few, f"1 to {MOST_BLOCKS}")
        for field in ("num_frames", "batch_size", "epochs", "learning_rate", "added_rate"):
            check(field, 0 < getattr(self, field) < math.inf, "a number above 0")
        for field in ("num_frames", "candidate_frames"):
            few = f"{MOST_FRAMES} or fewer: 16 bits count them"
            check(field, getattr(self, field) <= MOST_FRAMES, few)
        for field in ("shots", "weight_decay", "seed"):
            check(field, 0 <= getattr(self, field) < math.inf, "0 or more")
        check("betas", all(0 <= beta < 1 for beta in self.betas), "0 to below 1")
        for field in ("flip", "jitter", "grayscale", "label_smoothing", "final_ratio"):
            check(field, 0 <= getattr(self, field) <= 1, "from 0 to 1")
        check("ema", 0 <= self.ema < 1, "from 0 to below 1")
        for field in ("crop_scales", "blend"):
            is_inside = all(0 < share <= 1 for share in getattr(self, field))
            check(field, is_inside, "numbers above 0, up to 1")
        fits = 0 <= self.micro_batch <= self.batch_size
        check("micro_batch", fits, f"from 0 to batch_size={self.batch_size}")
        fits = self.candidate_frames == 0 or self.candidate_frames >= self.num_frames
        check("candidate_frames", fits, f"0, or num_frames={self.num_frames} and more")
        fits = 0 <= self.warmup_epochs < self.epochs
        check("warmup_epochs", fits, f"from 0 to below epochs={self.epochs}")
        if self.trains == "prompts":
            learned = self.image_prompts * self.image_depth + self.text_prompts * self.text_depth
            check("text_prompts", learned > 0, "prompts and depth above 0")
            check("blend", not self.blend, "none: untrained prompts mean nothing")
        for field in ("template", "further_templates"):
            texts = self.templates[:1] if field == "template" else self.further_templates
            check(field, all(text.count("{}") == 1 for text in texts), "texts with one {} in each")
        faults.refuse()

    def _check(self, faults: Faults, field: str, holds: bool, allowed: str) -> None:
        faults.check(holds, f"{field} is {getattr(self, field)!r}; give {allowed}.")

    @property
    def templates(self) -> tuple[str, ...]:
        """All texts of a class."""
        return (self.template, *self.further_templates)

    @property
    def freezes_images(self) -> bool:
        """Whether the image tower stays as it is, so that its embeddings can be cached."""
        return self.trains == "text" or (
            self.trains == "prompts" and not (self.image_prompts and self.image_depth)
        )

    @property
    def freezes_texts(self) -> bool:
        """Whether the text tower stays as it is."""
        return self.trains == "image" or (
            self.trains == "prompts" and not (self.text_prompts and self.text_depth)
        )

    @property
    def changes_pixels(self) -> bool:
        """Whether a video's pixels are not those of an extraction."""
        return bool(self.flip or self.crop_scales or self.jitter or self.grayscale or self.mixing)


def note_name(faults: Faults, kind: str, name: str, names: object) -> None:
    """Note a name that is none of a Literal's."""
    if name not in get_args(names):
        faults.add(UnknownNameError(kind, name, get_args(names)))
