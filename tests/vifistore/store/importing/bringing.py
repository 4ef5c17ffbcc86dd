"""A small store to export from, and to import into."""

import numpy as np

from tests.support import plain_recipe, video_table, write_features
from vifistore.store.dataset import write_videos
from vifistore.store.exporting.formats import ExportSettings, export_features
from vifistore.store.importing.formats import ImportSettings, import_features
from vifistore.store.names import set_name
from vifistore.store.store import create_store

RNG = np.random.default_rng(0)


def fill_store(folder, frames, clips=1):
    """A store at folder/s.zarr with `frames` as the sealed set `mine`."""
    store = create_store(folder / "s.zarr")
    table = video_table(len(frames), ["run", "jump"])
    write_videos(store.new_dataset("d"), table, ["run", "jump"], "/videos")
    recipe = plain_recipe(frames=frames.shape[2], clips=clips)
    writer = write_features(store, "d", recipe, frames)
    writer.seal()
    writer.release()
    set_name(store.dataset("d"), "mine", writer.id, "", force=False)
    return store


def export(store, format, out):
    """Export the set `mine`."""
    export_features(store, ExportSettings(dataset="d", features="mine", format=format, out=out))
    return out


def bring(location, path, format, **wanted):
    """Import into the dataset `d`."""
    return import_features(location, path, ImportSettings(format=format, dataset="d", **wanted))


def means(tmp_path, ids, values=None, name="x"):
    """Files name.npy `[video dim]` and name.txt of their ids."""
    values = RNG.normal(size=(len(ids), 8)) if values is None else values
    np.save(tmp_path / f"{name}.npy", values)
    (tmp_path / f"{name}.txt").write_text("\n".join(ids))
    return tmp_path / f"{name}.npy", {"ids": tmp_path / f"{name}.txt"}
