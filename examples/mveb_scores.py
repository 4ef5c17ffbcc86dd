"""Score a feature set by video tasks of mteb (MVEB) from the cache, without decoding a video.

    python examples/mveb_scores.py S.zarr MSVDT2VRetrieval --videos msvd    # its videos, as files
    vifi scan S.zarr msvd/MSVDT2VRetrieval --dataset msvd                   # then vifi extract
    python examples/mveb_scores.py S.zarr MSVDT2VRetrieval --features vanilla --out mveb

Prints the main score of each task; the JSON that mteb writes of it lies below --out. Needs
`pip install 'vifistore[mteb]'`.
"""

from pathlib import Path
from typing import Any, cast

import tyro

from vifi.scoring.mteb_model import CachedModel, write_videos
from vifistore.store import open_store


def main(
    store: tyro.conf.Positional[str],
    tasks: tyro.conf.Positional[tuple[str, ...]],
    features: str = "",
    out: Path = Path("mveb"),
    videos: Path | None = None,
) -> None:
    """Score the tasks, or with `videos` write what they are about into a folder each."""
    import mteb  # pyright: ignore[reportMissingImports] - an extra

    chosen = {name: mteb.get_task(name) for name in tasks}
    if videos is not None:
        for name, task in chosen.items():
            print(f"{write_videos(task, videos / name)} videos of {name} in {videos / name}")
        return
    # Any: mteb's type asks for its own way of making a model too, by a name on a hub.
    model = cast(Any, CachedModel(open_store(store), features))
    cache = mteb.ResultCache(out)
    scores = mteb.evaluate(model, list(chosen.values()), cache=cache).to_dataframe()
    print(scores.to_string(index=False))


if __name__ == "__main__":
    tyro.cli(main)
