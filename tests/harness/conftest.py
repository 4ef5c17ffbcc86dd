"""Small stores with planted classes, made by the store's own writers."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support import plain_recipe
from vifistore.store.dataset import write_videos
from vifistore.store.logit_bias import bias_field
from vifistore.store.names import set_name
from vifistore.store.schema import DONE, QUARANTINED, VIDEO_COLUMNS
from vifistore.store.splits import Split, write_split
from vifistore.store.store import Store, create_store
from vifistore.store.writer import FeatureWriter, Shape
from vifistore.store.zarr_format.block_ranges import num_blocks

DATASET = "toy"


@dataclass
class Maker:
    """Writes one dataset of planted classes: a video lies near its class's direction."""

    store: Store
    labels: np.ndarray
    class_names: list[str]
    directions: np.ndarray
    """float32 [class dim]."""

    @property
    def backend(self):
        return self.store.backend

    def frames(self, num_views=1, num_frames=4, noise=0.5, seed=0) -> np.ndarray:
        """float16 [video view frame dim], lengths between 1 and 10."""
        generator = np.random.default_rng(seed)
        shape = (len(self.labels), num_views, num_frames, self.directions.shape[1])
        clean = self.directions[self.labels][:, None, None, :]
        noisy = clean + noise * generator.normal(size=shape)
        return (noisy * generator.uniform(1, 10, (*shape[:3], 1))).astype(np.float16)

    def checkpoint(
        self,
        name="tiny",
        logit_scale=20.0,
        fusion="embedding",
        parent="",
        step=0,
        kind="trained",
        identity=None,
        bias=None,
        **settings,
    ) -> str:
        return self.store.add_checkpoint(
            {
                "name": name,
                "model": "tiny",
                "config": {},
                "weights_path": "",
                "image_digest": f"image of {name}",
                "text_digest": f"text of {name}",
                "logit_scale": logit_scale,
                "parent": parent,
                "step": step,
                **bias_field(bias),
                "settings": {**({"fusion": fusion} if fusion else {}), "kind": kind, **settings},
            },
            identity,
        )

    def texts(
        self,
        name="tiny",
        logit_scale=20.0,
        class_names=None,
        templates=("{}",),
        noise=0.1,
        cleaning="",
        bias=None,
    ):
        class_names = class_names or self.class_names
        order = [self.class_names.index(class_name) for class_name in class_names]
        generator = np.random.default_rng(1)
        shape = (len(order), len(templates), self.directions.shape[1])
        embeddings = self.directions[order][:, None] + noise * generator.normal(size=shape)
        fields = {
            "text_digest": f"text of {name}",
            "logit_scale": logit_scale,
            "class_names": list(class_names),
            "templates": list(templates),
            "context_length": 12,
            "precision": "fp32",
            **({"cleaning": cleaning} if cleaning else {}),
            **bias_field(bias),
        }
        return self.store.add_texts(fields, embeddings)

    def features(
        self,
        frames,
        name="tiny",
        checkpoint="tiny",
        status=None,
        seal=True,
        digests=None,
        **names,
    ):
        """Write a feature set and its name; returns its id."""
        digest = self.checkpoint(checkpoint, **names)
        views, count = frames.shape[1:3]
        recipe = plain_recipe(f"image of {name}", frames=count, clips=views).as_dict()
        writer = FeatureWriter(
            self.store.dataset(DATASET), recipe, Shape(**_lengths(frames)), {"host": "here"}
        )
        status = np.full(len(frames), DONE, np.uint8) if status is None else status
        arrays = _arrays(frames, status)
        if digests is not None:
            arrays["content_digest"] = np.array(digests, object)
        for block in range(num_blocks(len(frames))):
            rows = [row for row in writer.block_rows(block) if status[row]]
            if rows:
                writer.write_block(block, rows, {key: arrays[key][rows] for key in arrays})
        if seal:
            writer.seal()
        set_name(self.store.dataset(DATASET), name, writer.id, digest, force=True)
        return writer.id

    def split(self, name, rows, labels=None, class_names=None, listed=()) -> None:
        rows = np.asarray(rows, np.int64)
        labels = self.labels[rows] if labels is None else labels
        split = Split(
            name=name,
            rows=rows,
            labels=np.asarray(labels, np.int32),
            class_names=list(class_names or self.class_names),
            source="test",
            digest="0" * 64,
            listed=dict(zip(class_names or self.class_names, listed, strict=bool(listed))),
        )
        write_split(self.store.dataset(DATASET), split)


@pytest.fixture
def value_of():
    """Call with result rows and fields: the one row that has these values."""

    def find(rows, **fields):
        found = [r for r in rows if all(getattr(r, key) == value for key, value in fields.items())]
        assert len(found) == 1, (fields, found)
        return found[0]

    return find


@pytest.fixture
def make_store(tmp_path, monkeypatch):
    """Call with the number of videos, classes and dimensions; returns a Maker."""

    # These tests are about numbers: waiting for the disk is a third of their time.
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    return partial(planted_store, tmp_path)


def planted_store(folder: Path, num_videos=70, num_classes=6, dim=16, unlabelled=()) -> Maker:
    """A store `S.zarr` in `folder` with one dataset, and a checkpoint without features."""
    generator = np.random.default_rng(7)
    directions = generator.normal(size=(num_classes, dim)).astype(np.float32)
    labels = np.arange(num_videos) % num_classes
    class_names = [f"class {number}" for number in range(num_classes)]
    store = create_store(Path(folder) / "S.zarr")
    maker = Maker(store, labels, class_names, directions)
    names = ["" if row in unlabelled else class_names[labels[row]] for row in range(num_videos)]
    write_videos(store.new_dataset(DATASET), _videos(names), class_names, root="/videos")
    maker.checkpoint()
    return maker


def _videos(labels: list[str]) -> pd.DataFrame:
    columns = {
        name: np.zeros(len(labels), spec.dtype)
        for name, spec in VIDEO_COLUMNS.items()
        if spec.dtype != "str"
    }
    names = [f"video{row}" for row in range(len(labels))]
    return pd.DataFrame(columns | {"id": names, "path": names, "label": labels})


def _lengths(frames: np.ndarray) -> dict[str, int]:
    return dict(zip(("video", "view", "frame", "dim"), frames.shape, strict=True))


def _arrays(frames: np.ndarray, status: np.ndarray) -> dict[str, np.ndarray]:
    exact = frames.astype(np.float32)
    norms = np.linalg.norm(exact, axis=-1, keepdims=True)
    num_videos = len(frames)
    arrays = {
        "frames": frames,
        "view_mean": exact.mean(axis=2),
        "view_consensus": (exact / norms).mean(axis=2),
        "timestamps": np.zeros(frames.shape[:3], np.float32),
        "content_digest": np.array([f"d{row}" for row in range(num_videos)], object),
        "reason": np.where(status == QUARANTINED, "decode error", "").astype(object),
        "message": np.array([""] * num_videos, object),
        "attempts": np.ones(num_videos, np.uint8),
        "status": status,
    }
    for name in ("frames", "view_mean", "view_consensus", "timestamps"):
        arrays[name] = arrays[name].copy()
        arrays[name][status == QUARANTINED] = np.nan
    return arrays
