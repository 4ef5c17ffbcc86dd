"""Encode a dataset under every checkpoint of a folder, and see how the score moves.

    python examples/extract_checkpoints.py S.zarr runs/vifi-clip --dataset ucf101 --split test1 \\
        --frame-cache cache

Videos are decoded once for all checkpoints; what is there already is not encoded again, so that a
loop which was stopped goes on. Prints top-1 and its 95% interval per checkpoint. While a training
goes on, `vifi watch` does the same as checkpoints appear.
"""

from pathlib import Path

import pandas as pd
import tyro

from harness.shortcuts import evaluate
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.store import open_store

COLUMNS = ["checkpoint", "metric", "value", "ci_low", "ci_high", "num_videos"]


def main(
    store: tyro.conf.Positional[str],
    checkpoints: tyro.conf.Positional[Path],
    dataset: str,
    model: str = "ViT-B-16-quickgelu",
    split: str = "",
    frames: int | None = None,
    device: str = "auto",
    workers: int = 0,
    frame_cache: Path | None = None,
) -> None:
    """Extract and score every .safetensors file of the folder `checkpoints`, in order of name."""
    videos = open_store(store, mode="a").dataset(dataset)
    tables = []
    for path in sorted(checkpoints.glob("*.safetensors")):
        settings = ExtractSettings(
            model=model,
            pretrained=str(path),
            frames=frames,
            device=device,
            workers=workers,
            frame_cache=frame_cache,
        )
        report = extract_dataset(videos, settings)
        scores = evaluate(videos.features(report.name), split)
        tables.append(scores[scores["metric"] == "top1"].assign(checkpoint=report.name))
    print(pd.concat(tables)[COLUMNS].to_string(index=False))


if __name__ == "__main__":
    tyro.cli(main)
