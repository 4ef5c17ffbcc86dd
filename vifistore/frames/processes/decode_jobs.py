"""What a decode worker is given: one video, and which stretches of it are wanted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vifistore.frames.file_digests import SharedDigest
from vifistore.frames.plans import WHOLE_VIDEO, Plan, Sampling, Span
from vifistore.sources.footage import Footage
from vifistore.sources.roots import footage_of_wire

# A core reads 5 to 20 MB of H.264 a second: two hours of a film are minutes, where its container
# has no index to be trusted.
_BYTES_PER_TIMEOUT = 100e6


@dataclass(frozen=True, kw_only=True)
class DecodeJob:
    """Stretches of one video, in the order of their starts: read in one go, forward."""

    footage: Footage
    spans: Sequence[Span] = (WHOLE_VIDEO,)
    draw: Sequence[int] | None = None
    """See `Plan`."""
    also: Sequence[Sampling] = ()
    """See `Plan`."""
    digest: SharedDigest | None = None
    """Takes the content digest for all jobs of the file; without it, it is taken for this one."""
    piece_bytes: int = 0
    """See `Keep`; of stretches that do not overlap."""

    def wire(self, *, takes_digest: bool) -> dict[str, Any]:
        """What tells a worker of it, as plain JSON values."""
        return {
            "video": self.footage.wire(),
            "spans": [[start, None if np.isinf(end) else end] for start, end in self.spans],
            "draw": self.draw,
            "also": self.also,
            "digest": takes_digest,
            "piece_bytes": self.piece_bytes,
        }

    @property
    def is_one(self) -> bool:
        """Whether it has one result, for whose taking no worker waits."""
        return len(self.spans) == 1 and not self.piece_bytes

    def limits(self, timeout_seconds: float) -> list[float]:
        """Seconds that each stretch may take: as often for every further 100 MB that may have to be
        read for it. That is all of the file for the first, and for the others what lies between the
        end of the one before and their own."""
        told = self.footage.told_bytes / _BYTES_PER_TIMEOUT
        last = max(span.end for span in self.spans)
        shares = [1.0]
        for before, span in zip(self.spans, self.spans[1:], strict=False):
            is_known = np.isfinite(span.end) and np.isfinite(before.end)
            shares.append(max(0.0, span.end - before.end) / last if is_known else 1.0)
        if np.isinf(last):
            shares = [1.0] * len(self.spans)
        return [timeout_seconds * max(1.0, told * share) for share in shares]


def footage_and_plans(job: dict[str, Any], sampling: Sampling) -> tuple[Footage, list[Plan]]:
    """What `DecodeJob.wire` tells of."""
    also = [Sampling(*values) for values in job["also"]]
    spans = [Span(start, np.inf if end is None else end) for start, end in job["spans"]]
    plans = [Plan(sampling=sampling, span=span, draw=job["draw"], also=also) for span in spans]
    return footage_of_wire(job["video"]), plans
