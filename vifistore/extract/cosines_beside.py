"""Cosines of views and classes where texts follow the video: made as videos are encoded, and
written before their block is called done.

What they are made of, the patch tokens of a view, is large; whether it is kept as well is the
user's choice. What is stored decides: embeddings and tokens are rounded first, so that the same
cosines come of them when they are read again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vifistore.extract.prepare import Job
from vifistore.models.video_texts import VideoTexts
from vifistore.store.feature_record import FurtherArray
from vifistore.store.features import Features
from vifistore.store.similarities import similarity_ids
from vifistore.store.similarity_writer import SimilarityWriter
from vifistore.store.store import Store
from vifistore.store.texts import has_texts, read_texts
from vifistore.store.writer import BlockData, FeatureWriter

_PREFIX = "cosines."


@dataclass(frozen=True)
class FollowingTexts:
    """The texts of some classes on a device, and what makes cosines with them."""

    maker: VideoTexts
    embeddings: dict[str, Tensor]
    """float32 [class prompt dim] by the id of the text set."""

    def of(self, videos: Tensor, read: Tensor) -> dict[str, Tensor]:
        """Cosines [view class] by text set, of views [view dim] and what is read of them
        [view ...], both as the store keeps them."""
        stored = read.to(torch.float16).float()
        return {
            name: self.maker.cosines(videos.float(), stored, texts)
            for name, texts in self.embeddings.items()
        }


def following_texts(
    store: Store, maker: VideoTexts, texts: Sequence[str], device: torch.device
) -> FollowingTexts:
    """Text sets of the store, ready on a device."""
    return FollowingTexts(
        maker.to(device),
        {t: torch.from_numpy(store.texts(t).embeddings).to(device) for t in texts},
    )


class CosinesBeside:
    """The cosines of one extraction."""

    def __init__(self, job: Job, writer: FeatureWriter) -> None:
        assert job.loaded.video_texts is not None, "its texts follow the video"
        self._job, self._writer, self._maker = job, writer, job.loaded.video_texts
        self._backend = job.dataset.backend
        self._writers: dict[str, SimilarityWriter] = {}
        self._texts: FollowingTexts | None = None

    def begin(self, texts: Sequence[str]) -> None:
        """Get ready for these text sets, and for those of this checkpoint that the set has cosines
        with already."""
        store, path = self._job.dataset.store, self._writer.path
        known = [t for t in similarity_ids(self._backend, path) if self._is_own(t)]
        ids = list(dict.fromkeys([*texts, *known]))
        self._texts = following_texts(store, self._maker, ids, self._job.device)

    def _is_own(self, texts: str) -> bool:
        """Whether a text set is of this checkpoint: others share its image tower, and its set."""
        own = self._job.loaded.text_digest
        return (
            has_texts(self._backend, texts)
            and own == read_texts(self._backend, texts).attrs["text_digest"]
        )

    @property
    def texts(self) -> FollowingTexts:
        """What it makes cosines with."""
        assert self._texts is not None, "it has begun"
        return self._texts

    @property
    def arrays(self) -> dict[str, FurtherArray]:
        """What a result has of them, by name."""
        return {
            _PREFIX + name: FurtherArray(dtype="float32", axes=("class",), lengths=(len(own),))
            for name, own in self.texts.embeddings.items()
        }

    def of(self, videos: Tensor, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cosines [view class] by the names of `arrays`, of stored embeddings [view dim] and the
        outputs of the tower."""
        found = self.texts.of(videos, outputs[self._maker.reads])
        return {_PREFIX + name: cosines for name, cosines in found.items()}

    def write_blocks(self, group: Sequence[BlockData]) -> None:
        """Write cosines, then everything else of a group of blocks, as `FeatureWriter` does."""
        self._writer.claim(part.block for part in group)
        for name in self.texts.embeddings:
            key = _PREFIX + name
            blocks = {part.block: (part.rows, part.data[key]) for part in group}
            self._of(name).write(blocks)
        self._writer.write_blocks(group)

    def _of(self, name: str) -> SimilarityWriter:
        if name not in self._writers:
            shape, path = self._job.shape, self._writer.path
            lengths = (shape.video, shape.view, len(self.texts.embeddings[name]))
            writer = SimilarityWriter(self._backend, path, name, lengths, self._writer.claims)
            self._writers[name] = writer
        return self._writers[name]

    def seal(self, features: Features) -> list[str]:
        """Say which cosines are complete; return the text sets of which they are not."""
        status, kept = features.read_status(), similarity_ids(self._backend, features.path)
        is_whole = {n: n in kept and self._of(n).seal(status) for n in self.texts.embeddings}
        return [name for name, whole in is_whole.items() if not whole]
