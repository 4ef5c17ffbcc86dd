"""How far the encoders of a cluster are: one bar for all, and a line for each machine."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from vifistore.cluster.fleet import FleetMember
from vifistore.progress import Progress

logger = logging.getLogger("vifi")

# The first lines come after so many seconds, then ever later, so that a log stays short.
_FIRST_SECONDS, _GROWTH = 30.0, 1.3


class NodeLines:
    """Tells of all machines, those that are gone included."""

    def __init__(self, frames_of_video: int) -> None:
        """`frames_of_video` is how many embeddings a video has."""
        self._frames = frames_of_video
        self._gone: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._num_lost = 0
        self._num_done = 0
        self._begun = time.monotonic()
        self._next = _FIRST_SECONDS

    def begin(self, bar: Progress) -> None:
        """Tell in this bar."""
        self._bar, self._begun = bar, time.monotonic()
        bar.unpause()

    def done(self, num_videos: int) -> None:
        """Take note of videos that are in the store."""
        self._num_done += num_videos
        self._bar.update(num_videos)

    def lose(self, member: FleetMember) -> None:
        """Take note of an encoder that is gone."""
        self._gone[member.host].update(member.counts)
        self._num_lost += 1

    def counts(self, members: Sequence[FleetMember]) -> dict[str, Counter[str]]:
        """Videos by kind of result, by machine."""
        found = {host: Counter(counts) for host, counts in self._gone.items()}
        for member in members:
            found.setdefault(member.host, Counter()).update(member.counts)
        return found

    def say(self, members: Sequence[FleetMember]) -> None:
        """Bring the bar up to date, and now and then say how each machine does."""
        seconds = max(time.monotonic() - self._begun, 1e-3)
        total = sum(self.counts(members).values(), Counter[str]())
        hosts = {member.host for member in members if member.facts}
        told = f"{total['encoded'] * self._frames / seconds:.1f} frames/s, "
        told += f"{total['quarantined']} quarantined, {len(members)} encoders on {len(hosts)} "
        told += f"machines, {self._num_lost} lost"
        self._bar.set_postfix_str(told, refresh=False)
        if seconds >= self._next:
            self._next = seconds * _GROWTH
            self._tell(members, seconds)

    def end(self, members: Sequence[FleetMember]) -> None:
        """Say what each machine did."""
        self._tell(members, max(time.monotonic() - self._begun, 1e-3))

    def _tell(self, members: Sequence[FleetMember], seconds: float) -> None:
        encoders = Counter(member.host for member in members if member.facts)
        for host, counts in sorted(self.counts(members).items()):
            if not (counts or encoders[host]):
                continue
            num_videos = counts["encoded"] + counts["copied"]
            logger.info(
                "%s: %d encoders, %d videos (%.1f a second), %d quarantined",
                *(host, encoders[host], num_videos, num_videos / seconds, counts["quarantined"]),
            )
