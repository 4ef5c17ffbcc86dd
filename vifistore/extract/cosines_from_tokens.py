"""Cosines with classes that were not known when videos were encoded, from tokens that are kept."""

from collections.abc import Sequence

import numpy as np
import torch

from vifistore.extract.cosines_beside import FollowingTexts, following_texts
from vifistore.extract.recipes import choose_device
from vifistore.models.encoders import LoadedModel
from vifistore.progress import Progress
from vifistore.store.claims.claiming import Claiming, open_claims
from vifistore.store.features import Features
from vifistore.store.similarity_writer import SimilarityWriter
from vifistore.store.zarr_format.block_ranges import block_rows, num_blocks


def ensure_cosines(
    features: Features, loaded: LoadedModel, texts: Sequence[str], device: str = "auto"
) -> bool:
    """Have cosines with these text sets for every video that is done, where what they are made of
    is kept; return whether it is. No video is decoded.

    Raises LockedError if another process is writing the feature set, DamagedError for tokens that
    do not match their checksum.
    """
    maker = loaded.video_texts
    if maker is None or maker.reads not in features.declared:
        return False
    following = following_texts(features.store, maker, texts, choose_device(device))
    status = features.read_status()
    claims = open_claims(features.store.backend, features.dataset.name, features.id)
    claims.acquire(range(num_blocks(len(status))))
    try:
        for name in texts:
            _write(features, following, name, claims)
    finally:
        claims.release()
    return True


def _write(features: Features, following: FollowingTexts, name: str, claims: Claiming) -> None:
    """Write what is missing of the cosines with one text set."""
    status, views = features.read_status(), features.view_mean.shape[1]
    texts = following.embeddings[name]
    one = FollowingTexts(following.maker, {name: texts})
    shape = (len(status), views, len(texts))
    backend = features.dataset.backend
    writer = SimilarityWriter(backend, features.path, name, shape, claims)
    missing = writer.missing(status)
    with Progress(total=len(missing), unit="video", desc="cosines") as bar:
        for block in range(num_blocks(len(status))):
            rows = block_rows(block, len(status))
            own = missing[(missing >= rows.start) & (missing < rows.stop)]
            if len(own):
                writer.write({block: (own.tolist(), _of_rows(features, one, name, rows, own))})
                bar.update(len(own))
    writer.seal(status)


def _of_rows(
    features: Features, following: FollowingTexts, name: str, block: range, rows: np.ndarray
) -> np.ndarray:
    """Cosines with one text set of rows of a block, int64 [row], float32 [row view class]."""
    read, device = following.maker.reads, following.embeddings[name].device
    here = rows - block.start
    means, tokens = (
        torch.from_numpy(features.read(array, block.start, block.stop)[here])
        for array in ("view_mean", read)
    )
    with torch.inference_mode():
        found = [
            following.of(mean.to(device), kept.to(device))[name].cpu()
            for mean, kept in zip(means, tokens, strict=True)
        ]
    return torch.stack(found).numpy()
