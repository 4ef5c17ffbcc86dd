"""A recipe: all that decides the numbers of a feature set. Its digest is the set's id."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from vifistore.store.identity import OPENCLIP, SHORTEST, TOWER_KEYS

# Raised by hand when our own code changes the numbers of an unchanged recipe.
NUMERICS = 2


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: JSON has no text for it.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(value: object) -> str:
    """Return the SHA-256 hex digest of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def pooled_digest(image_digest: str, head_digest: str) -> str:
    """Digest of an image tower and of the head that pools its frames, as of one tower."""
    return digest_of({"image": image_digest, "head": head_digest})


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """From a decoded frame to the tower's input."""

    name: str
    """`openclip` (the tower's own) or `paper` (short side 256, ImageNet statistics)."""
    size: int
    """Side of the square the tower sees, pixels."""
    short_side: int
    """The shorter side after resizing, pixels."""
    interpolation: str
    """`bicubic` or `bilinear`."""
    antialias: bool
    """Whether the filter widens when an image shrinks, as in Pillow but not in OpenCV."""
    mean: tuple[float, float, float]
    """Subtracted from RGB in [0, 1]."""
    std: tuple[float, float, float]
    """Divides what is left."""
    backend: str
    """Whose resizing, sizes and crops: pillow-exact (torchvision's) or opencv-exact (mmcv's)."""
    resize_mode: str = SHORTEST
    """`shortest` cuts squares of what is left of the shape; `squash` makes both sides `size`."""

    def as_dict(self) -> dict:
        """Plain JSON values. Squares cut from the shorter side are as recipes always were: they
        say nothing of it, and keep their ids."""
        facts = asdict(self)
        if self.resize_mode == SHORTEST:
            del facts["resize_mode"]
        return facts

    def for_identity(self, own: Mapping | None = None) -> dict:
        """As checkpoints say it (see `vifistore.store.identity`); `own` is the tower's own, which
        is kept where this is another."""
        facts = json.loads(json.dumps({key: getattr(self, key) for key in TOWER_KEYS}))
        kept = {"own": dict(own)} if own and self.name != OPENCLIP else {}
        return {"family": self.name, **facts, **kept}

    def geometry(self, crops: int) -> dict:
        """What decides the squares of a frame, whatever is done with their colours."""
        colours = ("name", "mean", "std")
        facts = {key: value for key, value in self.as_dict().items() if key not in colours}
        return {**facts, "crops": crops}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the numbers of a feature set."""

    image_digest: str
    """Digest of the image tower: architecture and weights."""
    preprocessing: Preprocessing
    """From a decoded frame to the tower's input."""
    sampling_rule: str
    """How frames are chosen in time."""
    frames: int
    """Frames per clip; at a rate the most that there is room for."""
    clips: int
    """Stretches of time per video."""
    crops: int
    """Squares cut per frame."""
    precision: str
    """Arithmetic of the image tower."""
    decoder: str
    """Library that decoded the videos."""
    decoder_version: str
    """Its version: decoders do not give equal pixels."""
    numerics: int = NUMERICS
    """Version of our own arithmetic."""
    stride: int = 0
    """Frames of the video from one of a clip to the next; 0: spread over the video."""
    fps: float = 0.0
    """Frames a second, at fixed times; 0: so many of each clip."""
    every: int = 0
    """Every so many of the frames of the file; 0: so many of each clip."""
    kind: str = "frame"
    """`frame`: of each frame an embedding; `clip`: the frames of a view are seen together."""
    outputs: int = 0
    """Embeddings of a view, of kind clip alone."""

    @property
    def has_rate(self) -> bool:
        """Whether a view may have fewer frames than there is room for."""
        return bool(self.fps or self.every)

    @property
    def num_views(self) -> int:
        """Views per video: clips x crops, crop-major (all clips of the first crop first)."""
        return self.clips * self.crops

    def as_dict(self) -> dict:
        """Return the recipe as plain JSON values, as the store keeps it. What it always meant of
        stride, rates and kind it does not say: such recipes keep their ids."""
        facts = {**asdict(self), "preprocessing": self.preprocessing.as_dict()}
        usual = {"stride": 0, "fps": 0.0, "every": 0, "kind": "frame", "outputs": 0}
        facts = {key: value for key, value in facts.items() if usual.get(key) != value}
        return json.loads(json.dumps(facts))

    @property
    def id(self) -> str:
        """First 12 hex digits of the SHA-256 of the canonical JSON."""
        return recipe_id(self.as_dict())


def view_shape(recipe: Mapping) -> tuple[int, int] | None:
    """Views of a video and embeddings of a view, by a recipe given as plain JSON values; None where
    it does not say them."""
    counts = [recipe.get(name) for name in ("clips", "crops", "frames")]
    outputs = recipe.get("outputs", counts[2])
    if any(type(count) is not int for count in (*counts, outputs)):
        return None
    return recipe["clips"] * recipe["crops"], outputs


def sees_clips(recipe: Mapping) -> bool:
    """Whether a recipe given as plain JSON values is of an encoder that sees the frames of a view
    together."""
    return recipe.get("kind") == "clip"


def recipe_id(recipe: Mapping) -> str:
    """Return the feature set id of a recipe given as plain JSON values."""
    return digest_of(recipe)[:12]
