"""A store whose rows are stretches of a few files."""

from pathlib import Path

import numpy as np
import pandas as pd

from vifistore.store.dataset import write_videos
from vifistore.store.store import Store, create_store
from vifistore.videos.probe import probe


def stretch_table(folder: Path, rows: list[tuple[str, float, float]]) -> pd.DataFrame:
    """A row for each (name, start, end) of a file in the folder; no label."""
    seen = {name: probe(folder / name) for name in {row[0] for row in rows}}
    lines = []
    for name, start, end in rows:
        found = seen[name]
        lines.append(
            {
                "id": f"{name}@{start:g}-{end:g}",
                "path": name,
                "label": "",
                **{
                    field: getattr(found, field)
                    for field in ("num_frames", "fps", "duration_seconds", "width", "height")
                },
                "size_bytes": (folder / name).stat().st_size,
                "mtime_ns": (folder / name).stat().st_mtime_ns,
                "start_seconds": start,
                "end_seconds": end,
            }
        )
    return pd.DataFrame(lines)


def stretch_store(place: Path, folder: Path, rows: list[tuple[str, float, float]]) -> Store:
    """A new store of these rows, dataset `d`."""
    store = create_store(place)
    write_videos(store.new_dataset("d"), stretch_table(folder, rows), [], str(folder))
    return store


def windows(name: str, length: float, seconds: float, step: float = 0.0) -> list:
    """Stretches of a file that is so long."""
    starts = np.arange(0, length, step or seconds)
    return [(name, float(start), float(min(start + seconds, length))) for start in starts]
