"""What one writer did: where and with what it ran, and the blocks it wrote."""

import uuid
from bisect import bisect_left
from collections.abc import Iterable, Iterator


class RunRecord:
    """A small group of its own below the feature set, so that writers never share a file."""

    def __init__(self, feature_path: str, provenance: dict) -> None:
        self.path = f"{feature_path}/runs/{uuid.uuid4().hex[:12]}"
        self._provenance = provenance
        # Ascending [first, last + 1]; blocks come mostly in order, so that these stay few.
        self._spans: list[list[int]] = []

    def add(self, blocks: Iterable[int]) -> None:
        """Remember blocks; one may come again."""
        for block in blocks:
            self._add(block)

    def _add(self, block: int) -> None:
        spans = self._spans
        position = bisect_left(spans, [block + 1])
        if position and block < spans[position - 1][1]:
            return
        joins_before = position > 0 and spans[position - 1][1] == block
        joins_after = position < len(spans) and spans[position][0] == block + 1
        if joins_before and joins_after:
            spans[position - 1][1] = spans.pop(position)[1]
        elif joins_before:
            spans[position - 1][1] = block + 1
        elif joins_after:
            spans[position][0] = block
        else:
            spans.insert(position, [block, block + 1])

    def attributes(self) -> dict:
        """The provenance, and the blocks written as [first, last + 1] pairs."""
        return {**self._provenance, "blocks": [list(span) for span in self._spans]}


def neighbours(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each stretch of ascending numbers that follow one another."""
    first, last = None, 0
    for number in numbers:
        if first is not None and number != last + 1:
            yield first, last
            first = None
        first = number if first is None else first
        last = number
    if first is not None:
        yield first, last
