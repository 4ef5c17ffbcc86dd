"""`artefacts/gallery.json` and `artefacts/attention.json`: what pages show as pictures.

Pictures are named by their paths below the results folder, see `pictures`.
"""

from dataclasses import dataclass
from typing import ClassVar

from harness.results.json_objects import JsonEntry, JsonObject


@dataclass(frozen=True, kw_only=True)
class GalleryHit(JsonObject):
    """One video, or one stretch of it, that answered a query."""

    rank: int
    score: float
    dataset: str = ""
    id: str
    path: str = ""
    label: str
    start_seconds: float | None = None
    end_seconds: float | None = None
    is_right: bool | None = None
    """None where that cannot be said."""
    thumbnail: str | None = None
    """Path of its picture; None where it has none."""


@dataclass(frozen=True, kw_only=True)
class GalleryQuery(JsonEntry):
    """A query to one feature set, and its hits."""

    FILE: ClassVar[str] = "gallery.json"
    KEY: ClassVar[tuple[str, ...]] = ("query", "kind", "dataset", "features")

    query: str
    kind: str = "text"
    """text, video or image: what was asked with; frames, video-frames or image-frames where moments
    were asked for."""
    dataset: str = ""
    features: str = ""
    """Name of the feature set."""
    thumbnail: str | None = None
    """Picture of the video that was asked with."""
    hits: tuple[GalleryHit, ...]
    """Best first."""


@dataclass(frozen=True, kw_only=True)
class AttentionFigure(JsonEntry):
    """What models look at in a video."""

    FILE: ClassVar[str] = "attention.json"
    KEY: ClassVar[tuple[str, ...]] = ("image",)

    dataset: str = ""
    id: str
    label: str = ""
    models: tuple[str, ...] = ()
    image: str
    """Picture over its frames."""
    strip: str = ""
    """Picture over time."""
