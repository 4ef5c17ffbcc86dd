"""Which part of its file a video of a listing is, and how a long one is cut into such parts."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from vifistore.errors import UsageError

# A header may claim any length: of so many parts none is believed.
MOST_PARTS = 100_000
# What is left behind the last whole window joins it where it is shorter than both of these.
_TINY_SECONDS = 0.5
_TINY_PART = 0.1
# Of seconds: what sums of floats are off by is less, and a frame is longer.
_DIGITS = 6


class Stretch(NamedTuple):
    """From when to when, in seconds from the first frame of the file; all of it by default."""

    start: float = 0.0
    end: float | None = None
    """None for the end of the file."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the file."""
        return self == WHOLE

    @property
    def suffix(self) -> str:
        """What stands behind the id of a file in that of a part: `@30-60`, `@90-end`."""
        if self.is_whole:
            return ""
        return f"@{_shown(self.start)}-{'end' if self.end is None else _shown(self.end)}"


WHOLE = Stretch()


def stretch_of(start: float, end: float) -> Stretch:
    """A stretch as the table of videos has it, where an end that is not a number is the file's."""
    return Stretch(start, None if math.isnan(end) else end)


def _shown(seconds: float) -> str:
    return repr(float(seconds)).removesuffix(".0")


@dataclass(frozen=True, kw_only=True)
class Windows:
    """How long videos are cut."""

    seconds: float
    """Length of a part."""
    stride_seconds: float
    """From the start of a part to that of the next."""

    def __post_init__(self) -> None:
        for flag, value in (("--window", self.seconds), ("--stride", self.stride_seconds)):
            if not (math.isfinite(value) and round(value, _DIGITS) > 0):
                raise UsageError(f"{flag} {value:g} is no length; give seconds above 0")

    def cut(self, stretch: Stretch, file_seconds: float) -> list[Stretch] | None:
        """The parts of a stretch of a file that is so long; the last one ends where it ends.

        What is left behind the last whole window is a part of its own, but for less than half a
        second and a tenth of the window, which joins the part before. None where there would be
        more than MOST_PARTS.
        """
        ends = file_seconds if stretch.end is None else min(stretch.end, file_seconds)
        length = ends - stretch.start - min(_TINY_SECONDS, _TINY_PART * self.seconds)
        count = max(1, math.ceil(round(length / self.stride_seconds, _DIGITS)))
        if count > MOST_PARTS:
            return None
        begins = [round(k * self.stride_seconds, _DIGITS) for k in range(count)]
        # With a stride below the window, those behind the first that reaches the end repeat it.
        inside = [begin for begin in begins if begin + self.seconds < length]
        reaching = begins[len(inside) : len(inside) + 1]
        parts = [self._part(stretch.start + begin) for begin in inside]
        return parts + [
            self._part(stretch.start + begin)._replace(end=stretch.end) for begin in reaching
        ]

    def _part(self, start: float) -> Stretch:
        start = round(start, _DIGITS)
        return Stretch(start, round(start + self.seconds, _DIGITS))
