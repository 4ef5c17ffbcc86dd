"""Splits told by the paths of their videos: folders such as train/ and val/, groups in file names.

^(train|val)/                              what the first group holds is the split's name
(?P<test>_g0[1-7]_)|(?P<train>_g\\d+_)      the named group that matches is the split
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from vifistore.errors import UsageError, short
from vifistore.videos.columns import SPLIT_NAMES
from vifistore.videos.draft import Draft
from vifistore.videos.file_names import split_name
from vifistore.videos.records import SplitListing


def split_by(draft: Draft, pattern: str) -> None:
    """Part the one split of a draft by a regular expression that is searched in every path.

    A video whose path does not match is in no split. Raises UsageError for a pattern without
    groups or that nothing matches, and for a source that names its splits itself.
    """
    regex = _compiled(pattern)
    if len(draft.splits) != 1 or draft.names_splits:
        raise UsageError("the source names its splits itself; leave --split-by out")
    (split,) = draft.splits.values()
    members: dict[str, list[int]] = {}
    for index, row in enumerate(split.rows):
        if name := _name(regex, draft.paths[row]):
            members.setdefault(split_name(name), []).append(index)
    if not members:
        raise UsageError(
            f"--split-by {pattern!r} matches no path (first: {short(draft.paths[split.rows[0]])}); "
            "it is searched in the path below the root"
        )
    draft.splits = {name: _part(split, members[name], name, pattern) for name in sorted(members)}
    draft.names_splits = True
    counts = ", ".join(f"{name} {len(indices):,}" for name, indices in sorted(members.items()))
    rest = len(split.rows) - sum(map(len, members.values()))
    draft.notes.append(f"splits by path: {counts}" + (f", none {rest:,}" if rest else ""))


def split_folders(paths: Sequence[str]) -> str:
    """What would part paths whose first folders are called like splits, "" where they are not."""
    tops = {path.partition("/")[0] for path in paths}
    if len(tops) < 2 or not {top.lower() for top in tops} <= SPLIT_NAMES:
        return ""
    return f"^({'|'.join(sorted(tops))})/"


def _compiled(pattern: str) -> re.Pattern:
    shown = short(repr(pattern))
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--split-by {shown} is no regular expression: {error}") from error
    if not regex.groups:
        raise UsageError(
            f"--split-by {shown} has no group to take the split's name from; write for "
            "instance '^(train|val)/'"
        )
    return regex


def _name(regex: re.Pattern, path: str) -> str:
    match = regex.search(path)
    if not match:
        return ""
    if not regex.groupindex:
        return match.group(1) or ""
    return next((name for name, text in match.groupdict().items() if text is not None), "")


def _part(split: SplitListing, indices: Sequence[int], name: str, pattern: str) -> SplitListing:
    made = f"{split.digest}\n{pattern}\n{name}"
    return replace(
        split,
        rows=[split.rows[index] for index in indices],
        labels=[split.labels[index] for index in indices],
        source=f"{split.source} by {pattern}",
        digest=hashlib.sha256(made.encode()).hexdigest(),
    )
