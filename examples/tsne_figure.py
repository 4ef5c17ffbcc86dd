"""The same videos under several feature sets: a t-SNE panel each, and how well classes separate.

    python examples/tsne_figure.py S.zarr --dataset ucf101 --split test1 --classes 15 \\
        --features vanilla vifi-clip@step-2000 --out figures/tsne

Writes figures/tsne.png, .svg and .pdf; prints silhouette, neighbour agreement and separability,
which are measured in the full embedding space, where a map cannot lie.
"""

from pathlib import Path

import tyro

from harness.projection.maps import Projection, project
from harness.projection.panels import Choice, load_panels
from harness.projection.separation import separation
from reports.figures.scatter import scatter_panels
from vifistore.store import open_store


def main(
    store: tyro.conf.Positional[str],
    dataset: str,
    features: tuple[str, ...],
    split: str = "",
    classes: int = 0,
    perplexity: float = 30.0,
    seed: int = 0,
    out: Path = Path("tsne"),
) -> None:
    """Draw the videos of a split, or so many of its classes, drawn by the seed."""
    videos = open_store(store).dataset(dataset)
    sets = [videos.features(name) for name in features]
    panels = load_panels(sets, Choice(split=split, num_classes=classes, seed=seed))
    points = project(panels, Projection(perplexity=perplexity, seed=seed))
    measured = separation(panels)
    print(measured.to_string(index=False))
    out.parent.mkdir(parents=True, exist_ok=True)
    for file in scatter_panels(points, out, measured):
        print(file)


if __name__ == "__main__":
    tyro.cli(main)
