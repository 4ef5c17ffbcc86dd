"""Claims: a verb starts at once, and a search is over before torch would have been imported.

    python -m benchmarks.startup              # some minutes: every verb's --help, three times
    python -m benchmarks.startup --num-videos 1000 --repeats 1 --verbs info

*help*, *info*: seconds of `vifi VERB --help`, and of `vifi info` on a store of 100,000 videos.
Expected: under 1 s, and no torch in a verb that needs no model.

*search*: seconds of `vifi search` on that store, in turns with `python -c "import torch,
open_clip"`. Expected: at most 1.3 times as long. Where that import fails (PyPI's torchvision
beside a CPU build of torch), it is measured with the operators named that torchvision misses.

*warm query*: milliseconds of a query to the page of `vifi serve`, over HTTP. Expected: under 30.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import tyro

from benchmarks.retrieval import middle
from benchmarks.store import append_rows, block_data, video_table
from vifi.__main__ import VERBS
from vifistore.store.dataset import write_videos
from vifistore.store.names import set_name
from vifistore.store.store import Store, create_store
from vifistore.store.writer import BlockData, FeatureWriter, Shape

RESULTS = Path(__file__).parent / "results" / "startup.csv"
MODEL = "vifi-tiny"
FEATURES = "tiny"
_OPERATORS = "from vifistore.models import torchvision_operators as t; t.prepare(); "
_IMPORT = "import torch, open_clip"
_GROUP = 64


@dataclass(frozen=True, kw_only=True)
class StartupBenchmark:
    """What is started, and how often."""

    num_videos: int = 100_000
    """Videos of the store."""
    repeats: int = 3
    """Times that each is started; the row gives the median."""
    num_queries: int = 100
    """Queries to the page."""
    verbs: tuple[str, ...] = tuple(VERBS)
    """Verbs whose --help is measured."""
    results: Path = RESULTS
    """CSV file that the rows are added to."""


def main(settings: StartupBenchmark) -> None:
    """Measure, print each row and add it to the results."""
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder), settings):
            print(*(f"{key}={value}" for key, value in row.items()), flush=True)
            append_rows(settings.results, [row])


def rows(folder: Path, settings: StartupBenchmark) -> Iterator[dict]:
    """A row per measure."""
    for verb in settings.verbs:
        yield row(f"help {verb}", settings, seconds_of(vifi(verb, "--help"), settings.repeats))
    store = make_store(folder, settings.num_videos)
    info = vifi("info", str(store.path))
    yield row("info", settings, seconds_of(info, settings.repeats))
    yield search_row(store, settings)
    yield warm_row(store, settings)


def search_row(store: Store, settings: StartupBenchmark) -> dict:
    """`vifi search` from the shell against importing torch and OpenCLIP."""
    search = vifi("search", str(store.path), "someone juggling a ball", "--json")
    plain = [sys.executable, "-c", _IMPORT]
    if subprocess.run(plain, capture_output=True).returncode:
        plain = [sys.executable, "-c", _OPERATORS + _IMPORT]
    # The first search makes the index.
    run(search)
    pairs = [(run(search), run(plain)) for _ in range(settings.repeats)]
    found = row("search", settings, statistics.median(pair[0] for pair in pairs))
    found["reference_seconds"] = middle(pair[1] for pair in pairs)
    found["ratio"] = middle(pair[0] / pair[1] for pair in pairs)
    return found


def warm_row(store: Store, settings: StartupBenchmark) -> dict:
    """Queries in words to a running page, each with other words."""
    with serving(store) as ask:
        ask("warm up")
        taken = [
            timed(lambda number=number: ask(f"video number {number}"))
            for number in range(settings.num_queries)
        ]
    return row("warm query", settings, statistics.median(taken))


def row(measure: str, settings: StartupBenchmark, seconds: float) -> dict:
    """One measure; a search has more to say."""
    return {
        "measure": measure,
        "videos": settings.num_videos,
        "seconds": float(f"{seconds:.4g}"),
        "reference_seconds": "",
        "ratio": "",
    }


def vifi(*arguments: str) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-m", "vifi", *arguments]


def run(command: list[str]) -> float:
    """Seconds that a process takes. Raises CalledProcessError if it fails."""
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))


def seconds_of(command: list[str], repeats: int) -> float:
    """Median of several runs."""
    return statistics.median(run(command) for _ in range(repeats))


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class serving:
    """A page of a store on a free port while the block runs; gives a function that asks it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Callable[[str], bytes]:
        import uvicorn

        from vifi.serve import listen
        from vifi.serving.app import make_app
        from vifi.serving.library import Library

        library = Library(self._store)
        library.start(FEATURES)
        self._socket = listen(0)
        address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api/search?q="
        self._server = uvicorn.Server(uvicorn.Config(make_app(library), log_level="warning"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

        def ask(words: str) -> bytes:
            with urllib.request.urlopen(address + urllib.parse.quote(words)) as answer:
                return answer.read()

        return ask

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def make_store(folder: Path, num_videos: int) -> Store:
    """A store with a feature set of the tiny model's dimension, and that model's checkpoint."""
    from vifistore.models.checkpoints import CheckpointHeader, save_checkpoint
    from vifistore.models.registry import model_config
    from vifistore.models.skeletons import new_model
    from vifistore.models.towers import load_model

    weights = folder / "tiny.safetensors"
    config = model_config(MODEL)
    header = CheckpointHeader(
        model=MODEL, config=config, name="tiny", step=0, parent="", settings={}
    )
    save_checkpoint(weights, new_model(MODEL, 0).state_dict(), header)
    store = create_store(folder / "S.zarr")
    # Nothing here has to survive a power cut.
    with mock.patch.object(os, "fsync"):
        write_videos(store.new_dataset("d"), video_table(num_videos), ["run"], "/")
        checkpoint = store.add_checkpoint(load_model(MODEL, str(weights)).record())
        feature_id = write_means(store, num_videos, config["embed_dim"])
        set_name(store.dataset("d"), FEATURES, feature_id, checkpoint, force=True)
    return store


def write_means(store: Store, num_videos: int, dim: int) -> str:
    """Write random embeddings of every video; return the feature set's id."""
    shape = Shape(video=num_videos, view=1, frame=1, dim=dim)
    recipe = {"image_digest": "random", "frames": 1, "numerics": 1}
    writer = FeatureWriter(store.dataset("d"), recipe, shape, {"host": "benchmark"})
    writer.claim(blocks := writer.todo_blocks())
    generator = np.random.default_rng(0)
    for start in range(0, len(blocks), _GROUP):
        group = []
        for block in blocks[start : start + _GROUP]:
            rows = list(writer.block_rows(block))
            frames = generator.standard_normal((len(rows), 1, 1, dim), np.float32)
            group.append(BlockData(block=block, rows=rows, data=block_of(frames)))
        writer.write_blocks(group)
    writer.seal()
    return writer.id


def block_of(frames: np.ndarray) -> dict[str, np.ndarray]:
    """What a block of frames [video view frame dim] holds."""
    from benchmarks.store import StoreBenchmark

    data = block_data(StoreBenchmark(num_frames=1, dim=frames.shape[-1]), len(frames))
    stored = frames.astype(np.float16)
    mean = stored[:, :, 0].astype(np.float32)
    length = np.linalg.norm(mean, axis=-1, keepdims=True)
    return {**data, "frames": stored, "view_mean": mean, "view_consensus": mean / length}


if __name__ == "__main__":
    main(tyro.cli(StartupBenchmark))
