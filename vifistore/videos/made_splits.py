"""Splits made here instead of read: the base and novel halves of the classes, and few shots.

Both depend on nothing but their inputs: no random generator whose stream could change with a
version decides who is drawn.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter

from vifistore.errors import UnknownNameError, UsageError, short
from vifistore.videos.records import UNLABELLED, Listing, SplitListing
from vifistore.videos.text_lines import some


def base_and_novel(
    train: SplitListing, listing: Listing | None = None
) -> tuple[list[int], list[int], list[str]]:
    """Ids of the base classes, the most frequent half of the training videos, and of the novel
    ones, the rest, each from the rarest to the most frequent; and what is to be noted.

    The ViFi-CLIP protocol (section 4, base-to-novel): of an odd number of classes the base half
    has one more. Where `listing`, which the videos are of, has stretches, a class is as frequent as
    files hold it, into however many parts these are cut. Equally frequent classes stay in the order
    of their ids, so that of a tie at the border the higher ids are base; this gives the paper's own
    halves of UCF101, HMDB51 and SSv2. A note says so where classes of one frequency had to be
    parted. Raises UsageError for fewer than two classes, and for videos without a label.
    """
    counts = _frequencies(train, listing)
    if len(train.class_names) < 2 or UNLABELLED in counts:
        raise UsageError(f"{train.source} needs two labelled classes or more to be halved")
    ids = sorted(range(len(train.class_names)), key=lambda id: counts[id])
    novel, base = ids[: len(ids) // 2], ids[len(ids) // 2 :]
    border = counts[base[0]]
    notes = []
    if counts[novel[-1]] == border:
        tied = [train.class_names[id] for id in ids if counts[id] == border]
        notes.append(
            f"base and novel part {len(tied):,} classes of {border:,} training videos each "
            f"({some(tied)}) by their ids"
        )
    return base, novel, notes


def _frequencies(train: SplitListing, listing: Listing | None) -> Counter[int]:
    """Training videos of each class, by its id; of stretches their files."""
    if listing is None or not listing.stretches:
        return Counter(train.labels)
    held = zip((listing.paths[row] for row in train.rows), train.labels, strict=True)
    return Counter(label for _, label in set(held))


def of_classes(listing: Listing, split: SplitListing, class_names: Sequence[str]) -> SplitListing:
    """The videos of some classes, labelled anew in the order of `class_names` and scored alone.

    Raises UsageError for a class that the split does not have.
    """
    unknown = set(class_names).difference(split.class_names)
    if unknown:
        raise UsageError(f"{split.source} has no class {some(unknown)}; name classes of this split")
    new_id = {name: id for id, name in enumerate(class_names)}
    kept = [
        (row, new_id[split.class_names[label]])
        for row, label in zip(split.rows, split.labels, strict=True)
        if label != UNLABELLED and split.class_names[label] in new_id
    ]
    made = f"{len(class_names)} of {len(split.class_names)} classes of {split.source}"
    listed = {name: count for name, count in split.listed.items() if name in new_id}
    made = _made(listing, kept, list(class_names), made, listed)
    return replace(made, owns_classes=True)


def base_novel_splits(
    listing: Listing, train: str, evaluation: str
) -> tuple[dict[str, SplitListing], list[str]]:
    """`base_train`, `base_val` and `novel_val` from a training and an evaluation split; notes.

    Classes keep the order of `base_and_novel`; those without a training video are in neither half.
    Raises UsageError where the two splits name different classes.
    """
    training, evaluated = listing.splits[train], listing.splits[evaluation]
    if set(training.class_names) != set(evaluated.class_names):
        raise UsageError(
            f"{train} and {evaluation} name different classes; read them with one file"
        )
    present = [training.class_names[id] for id in sorted(set(training.labels) - {UNLABELLED})]
    notes = []
    if len(present) < len(training.class_names):
        count = f"{len(present):,} of {len(training.class_names):,}"
        notes.append(f"base and novel are halves of the {count} classes that have training videos")
        training = of_classes(listing, training, present)
    *ids, more_notes = base_and_novel(training, listing)
    base, novel = ([training.class_names[id] for id in half] for half in ids)
    splits = {
        "base_train": of_classes(listing, training, base),
        "base_val": of_classes(listing, evaluated, base),
        "novel_val": of_classes(listing, evaluated, novel),
    }
    return splits, notes + more_notes


def few_shot(
    listing: Listing, train: SplitListing, shots: int, *, seed: int, nested: bool = False
) -> SplitListing:
    """`shots` videos of every class of a training split that has any, drawn by `seed`; of a video
    in parts all parts that the split has.

    A video's place in the draw is a digest of seed and id, so the draw neither depends on the
    order of the list nor changes for a class when another one grows. `nested` draws contain the
    smaller ones of their seed; others are drawn anew for each number of shots, as the paper's are.
    Raises UsageError where a class has fewer videos.
    """
    if shots < 1:
        raise UsageError(f"{shots} shots draw nothing; ask for 1 or more")
    by_class: dict[int, dict[str, list[int]]] = {}
    for row, label in sorted(zip(train.rows, train.labels, strict=True), key=itemgetter(1)):
        if label != UNLABELLED:
            by_class.setdefault(label, {}).setdefault(listing.video(row), []).append(row)
    few = [train.class_names[id] for id, videos in by_class.items() if len(videos) < shots]
    if few or not by_class:
        least = min(map(len, by_class.values()), default=0)
        raise UsageError(
            f"fewer than {shots} videos of {some(few) or 'any class'} among "
            f"{short(train.source, 80)}; "
            + (f"draw {least} or fewer: --shots {least}" if least else "give a split with labels")
        )
    draw = f"{seed}" if nested else f"{seed}/{shots}"
    kept = []
    for label, videos in by_class.items():
        ranked = sorted(videos, key=lambda video: _place(draw, video))
        kept += [(row, label) for video in ranked[:shots] for row in videos[video]]
    source = f"{shots} shots of {train.source}, seed {seed}{', nested' if nested else ''}"
    is_part = len(by_class) < len(train.class_names)
    counts = Counter(train.class_names[label] for _, label in kept)
    listed = {name: counts[name] or shots for name in train.class_names} if is_part else {}
    made = _made(listing, kept, train.class_names, source, listed)
    return replace(made, owns_classes=train.owns_classes)


def _place(draw: str, id: str) -> bytes:
    return hashlib.sha256(f"{draw}\n{id}".encode()).digest()


def _made(
    listing: Listing,
    pairs: Iterable[tuple[int, int]],
    class_names: list[str],
    source: str,
    listed: Mapping[str, int] | None = None,
) -> SplitListing:
    pairs = list(pairs)
    lines = "".join(f"{listing.ids[row]}\t{class_names[label]}\n" for row, label in pairs)
    return SplitListing(
        rows=[row for row, _ in pairs],
        labels=[label for _, label in pairs],
        class_names=class_names,
        source=source,
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        listed=dict(listed or {}),
    )


@dataclass(frozen=True, kw_only=True)
class SplitRequest:
    """Splits to make beside those that a source lists."""

    halves: tuple[str, ...] = ()
    """A training and an evaluation split to part into base and novel classes."""
    few_shot: str = ""
    """Training split to draw few videos of each class from; may be `base_train`, made here."""
    shots: tuple[int, ...] = (2, 4, 8, 16)
    """Videos per class; one split each."""
    seeds: tuple[int, ...] = (0,)
    """Seeds of the draws; one split each."""
    nested: bool = False
    """Whether the draws of a seed contain each other."""


def with_made_splits(
    listing: Listing, request: SplitRequest, stored: Mapping[str, SplitListing] | None = None
) -> Listing:
    """The listing with `base_train`, `base_val`, `novel_val` and `TRAIN_few_shot_K` added.

    They are made of the splits that it lists, and of those that are `stored` already, whose rows
    are positions in the listing, too. Draws of several seeds end in `_sSEED`. Raises UsageError
    where a name is taken already, and what the functions of this module raise; UnknownNameError for
    a split that is not there.
    """
    made: dict[str, SplitListing] = {}
    notes: list[str] = []
    known = dict(stored or {}) | listing.splits
    if request.halves:
        if len(request.halves) != 2:
            raise UsageError(f"{len(request.halves)} splits to halve; give two, TRAIN TEST")
        for name in request.halves:
            _require(name, known)
        made, notes = base_novel_splits(replace(listing, splits=known), *request.halves)
    if request.few_shot:
        known |= made
        _require(request.few_shot, known)
        made |= _draws(listing, known[request.few_shot], request)
    if taken := sorted(made.keys() & listing.splits.keys()):
        raise UsageError(f"the source lists {some(taken)} itself; use its own instead of making it")
    return replace(listing, splits=listing.splits | made, notes=[*listing.notes, *notes])


def _draws(listing: Listing, train: SplitListing, request: SplitRequest) -> dict[str, SplitListing]:
    draws = {}
    for shots, seed in product(request.shots, request.seeds):
        suffix = f"_s{seed}" if len(request.seeds) > 1 else ""
        name = f"{request.few_shot}_few_shot_{shots}{suffix}"
        draws[name] = few_shot(listing, train, shots, seed=seed, nested=request.nested)
    return draws


def _require(name: str, splits: Mapping[str, SplitListing]) -> None:
    if name not in splits:
        raise UnknownNameError("split", name, splits)
