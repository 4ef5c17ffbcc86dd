"""Is a score zero-shot? What a checkpoint was tuned on, held against the videos that are scored.

A score on videos, or on another part of the dataset, that the checkpoint was tuned on is none,
whatever its dataset is called in this store: videos are known by the content of their files, a
part of one by that of all of it. Class names that both share are counted, and end nothing:
Kinetics-400 and UCF101 have some in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from harness.scoring import Videos
from vifistore.cleaning import class_key
from vifistore.store.identity import Identity, TunedOn


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the scored videos have in common with those that a checkpoint was tuned on."""

    identity: Identity
    """What the checkpoint was trained with and on, as far as that is known."""
    entries: tuple[dict, ...] = ()
    """Per part of the training: dataset, split, videos, shared_videos, shared_class_names."""
    tuned_on: str = ""
    """The parts that share a video or the dataset, as "ucf101/train"; empty for none."""
    is_seen: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    """Whether the checkpoint was tuned on each scored video, bool [video]; empty where nothing is
    known of it."""
    shared_class_names: int = 0
    """Scored classes that it was tuned on."""

    @property
    def shared_videos(self) -> int:
        """Scored videos that the checkpoint was tuned on."""
        return int(self.is_seen.sum())

    @property
    def facts(self) -> dict:
        """Entries of a row's provenance: none for a checkpoint of which nothing is known."""
        if not self.entries:
            return {}
        return {
            "tuned_on": list(self.entries),
            "shared_videos": self.shared_videos,
            "shared_class_names": self.shared_class_names,
        }


def claim_of(videos: Videos) -> Claim:
    """Hold the checkpoint of a feature set against the videos that it is scored on."""
    digest = videos.features.checkpoint
    # Of embeddings made elsewhere no checkpoint is known.
    identity = videos.features.store.identity(digest) if digest else Identity()
    if not identity.tuned_on:
        return Claim(identity=identity)
    digests = videos.features.content_digests(videos.rows)
    # Headers may name stretches by keys of their own.
    keys = videos.dataset.content_keys(digests, videos.rows)
    names = set(map(class_key, videos.class_names))
    is_seen = np.zeros(len(videos.rows), bool)
    seen_names: set[str] = set()
    entries, shared = [], []
    for entry in identity.tuned_on:
        is_known = entry.holds(digests) | entry.holds(keys)
        held = is_known if entry.videos else _by_split(videos, entry)
        common = names & set(map(class_key, entry.class_names))
        entries.append(_facts(entry, held, common))
        if held.any() or entry.dataset == videos.dataset.name:
            shared.append(entry.name)
        is_seen |= held
        seen_names |= common
    return Claim(
        identity=identity,
        entries=tuple(entries),
        tuned_on=", ".join(dict.fromkeys(shared)),
        is_seen=is_seen,
        shared_class_names=len(seen_names),
    )


def joined_claims(claims: Sequence[Claim]) -> Claim:
    """Of several checkpoints whose scores of the same videos, in one order, become one: it was
    tuned on all that any of them was. How it was trained is the first one's."""
    known = [claim for claim in claims if claim.entries]
    if not known:
        return claims[0]
    entries = {(one["dataset"], one["split"]): one for claim in known for one in claim.entries}
    told = [name for claim in known for name in claim.tuned_on.split(", ") if name]
    return replace(
        known[0],
        identity=claims[0].identity,
        entries=tuple(entries.values()),
        tuned_on=", ".join(dict.fromkeys(told)),
        is_seen=np.logical_or.reduce([claim.is_seen for claim in known]),
        shared_class_names=max(claim.shared_class_names for claim in known),
    )


def _by_split(videos: Videos, entry: TunedOn) -> np.ndarray:
    """Which scored videos are of a split that is known by its name alone, bool [video]."""
    is_here = entry.dataset == videos.dataset.name and entry.split in videos.dataset.splits()
    rows = videos.dataset.split(entry.split).rows if is_here else []
    return np.isin(videos.rows, rows)


def _facts(entry: TunedOn, held: np.ndarray, common: set[str]) -> dict:
    return {
        "dataset": entry.dataset,
        "split": entry.split,
        "videos": entry.num_videos,
        "shared_videos": int(held.sum()),
        "shared_class_names": len(common),
    }
