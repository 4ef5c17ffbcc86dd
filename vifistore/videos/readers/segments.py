"""Labelled segments of videos as videos of their own, each once, under one label."""

from collections.abc import Iterable
from typing import NamedTuple

from vifistore.videos.listed_times import listed_stretch, seconds_of
from vifistore.videos.records import Line
from vifistore.videos.text_lines import some


class Segment(NamedTuple):
    """A part of a listed video, with its times as they are written."""

    line: Line
    start: str
    end: str


def segment_lines(source: str, parts: Iterable[Line | Segment]) -> tuple[list[Line], list[str]]:
    """A line for each segment, and for each video that is whole; and notes of what is left out.

    Left out are segments that do not end behind their start, and labels of one beside its first.
    Raises UsageError for what is no time.
    """
    lines: list[Line] = []
    first: dict[tuple, str] = {}
    empty, doubled = [], []
    for part in parts:
        if isinstance(part, Line):
            lines.append(part)
            continue
        line, start, end = part
        begin, last = seconds_of(start), seconds_of(end)
        if begin is not None and last is not None and begin >= last:
            empty.append(line.path)
            continue
        line = line._replace(stretch=listed_stretch(start, end, line.where))
        if first.setdefault((line.path, line.stretch, line.split), line.label) != line.label:
            doubled.append(line.path)
            continue
        lines.append(line)
    notes = []
    if empty:
        told = "segments do not end behind their start, and are left out"
        notes.append(f"{source}: {len(empty):,} {told}: {some(empty)}")
    if doubled:
        told = "segments have a further label, and keep their first"
        notes.append(f"{source}: {len(doubled):,} {told}: {some(doubled)}")
    return lines, notes
