"""What a head gives, put into a store: its checkpoint, its texts and its feature set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vifistore.extract.class_texts import dataset_class_lists
from vifistore.extract.run_figures import machine_provenance
from vifistore.models.openclip_model import OpenClipModel
from vifistore.store.checkpoints import checkpoint_digest
from vifistore.store.derived import derived_recipe, write_derived
from vifistore.store.features import Features
from vifistore.store.identity import parse_identity
from vifistore.store.names import require_free
from vifistore.store.recipe import recipe_id
from vifistore.training.heads.head_files import Head
from vifistore.training.heads.head_texts import ensure_head_texts, logit_scale

# Videos are pooled a few at a time: a block of 64 with 12 views is a gigabyte of activations.
_VIEWS_AT_ONCE = 256


@dataclass(frozen=True, kw_only=True)
class HeadReport:
    """What a job made."""

    features: str
    """Id of the derived feature set."""
    name: str
    """Its name."""
    head: str
    """File of the head."""
    checkpoint: str
    """Digest of tower and head together, as a checkpoint of the store."""
    texts: tuple[str, ...]
    """Ids of the text sets, one for each list of classes of the dataset."""
    steps: int
    """Updates made now; 0 for a head that was trained before, or has nothing to train."""
    loss: float | None = None
    """Mean loss of the last epoch."""
    accuracy: float | None = None
    """Share of its training videos whose own class was the nearest."""


def store_head(
    features: Features,
    checkpoint: dict,
    head: Head,
    path: Path,
    loaded: OpenClipModel,
    name: str,
) -> HeadReport:
    """Put a head's texts, checkpoint and derived feature set into the store.

    Raises UsageError if the name is taken or a class name leaves no room for the head's prompts,
    and what `write_derived` raises.
    """
    device = next(loaded.clip.parameters()).device
    # What may be refused comes first.
    feature_id = recipe_id(derived_recipe(features.id, head.digest))
    digest = checkpoint_digest(head.image_digest, head.text_digest, logit_scale(head))
    require_free(features.dataset, name, feature_id, digest)
    texts = [
        ensure_head_texts(features.store, head, loaded, names)
        for names in dataset_class_lists(features.dataset)
    ]
    identity = parse_identity(head.header.identity)
    features.store.add_checkpoint(_record(head, checkpoint, path), identity)
    derived = write_derived(
        features,
        head={"digest": head.digest, "kind": head.header.kind, **_about(head, path)},
        apply=lambda frames: _pool(head.pooling, frames, device),
        name=name,
        checkpoint=digest,
        provenance=machine_provenance(device),
    )
    return HeadReport(
        features=derived.id,
        name=name,
        head=str(path),
        checkpoint=digest,
        texts=tuple(texts),
        steps=0,
    )


def _record(head: Head, checkpoint: dict, path: Path) -> dict:
    """Tower and head together, as the store keeps a checkpoint."""
    return {
        "name": f"{checkpoint['names'][0]}+{head.header.kind}",
        "model": checkpoint["model"],
        "config": checkpoint["config"],
        "image_digest": head.image_digest,
        "text_digest": head.text_digest,
        "logit_scale": logit_scale(head),
        "weights_path": str(path.resolve()),
        "parent": checkpoint["digest"],
        "step": head.header.step,
        "settings": {"head": head.header.kind, **_about(head, path)},
    }


def _about(head: Head, path: Path) -> dict:
    header = head.header
    own = {"trained_on": header.trained_on, "step": header.step}
    return {"file": path.name, **given(header.settings), **own}


def given(settings: dict) -> dict:
    """Settings that have a value for a head."""
    return {key: value for key, value in settings.items() if value is not None}


@torch.inference_mode()
def _pool(pooling: nn.Module, frames: np.ndarray, device: torch.device) -> np.ndarray:
    """float32 [video view frame dim] -> [video view dim]."""
    pooling = pooling.to(device).eval()
    views = torch.from_numpy(frames).flatten(0, 1).split(_VIEWS_AT_ONCE)
    pooled = torch.cat([pooling(part.to(device)).cpu() for part in views])
    return pooled.unflatten(0, frames.shape[:2]).numpy()
