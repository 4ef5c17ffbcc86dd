"""Claims: a verb starts at once, and a search is over before torch would have been imported.

    python -m benchmarks.startup              # some minutes: every verb's --help, three times
    python -m benchmarks.startup --num-videos 1000 --repeats 1 --verbs info

*help*, *info*: time of `vifi VERB --help`, and of `vifi info` on a store of 100,000 videos.
Expected: under 1 s, and no torch in a verb that needs no model.

*search*: time of `vifi search` on that store, in turns with `python -c "import torch,
open_clip"`. Expected: at most 1.3 times as long. Where that import fails (PyPI's torchvision
beside a CPU build of torch), it is measured with the operators named that torchvision misses.

*search without torch*: the same search, in turns with one whose words torch's text tower encodes.
Expected: 2 s less at least; else a text tower of our own in NumPy has no reason.

*extract start*, *extract*: time of `vifi extract` of one video of `--extract`, and of all, with a
ViT-B-32 of random weights in a file, in turns with that of the program in `--against`, an older
checkout. `cpu_seconds` are those of the processor, which what else the machine does changes less;
`beyond_seconds` are those before and after the run that the verb itself reports. Expected: at most
7 s beyond the work.

*warm query*: milliseconds of a query to the page of `vifi serve`, over HTTP. Expected: under 30.
"""

import json
import resource
import shutil
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
from statistics import median

import numpy as np

from benchmarks.generated import add_videos, block_arrays, unsynced, write_set
from vifi.__main__ import VERBS
from vifi.bench.bench_settings import Bench
from vifi.bench.recording import in_scratch, script
from vifi.bench.timing import elapsed, pairs, pairs_of, quantiles, seconds
from vifistore.store.names import set_name
from vifistore.store.store import Store, create_store
from vifistore.store.writer import Shape

CASE = ("measure", "videos")
MODEL = "vifi-tiny"
FEATURES = "tiny"
_EXTRACTED = "ViT-B-32"
_OF_A_RUN = ("cpu_seconds", "beyond_seconds")
_OPERATORS = "from vifistore.models import torchvision_operators as t; t.prepare(); "
_IMPORT = "import torch, open_clip"
# A search that finds no text tower which NumPy computes.
_BY_TORCH = (
    "from vifi.searching import query_encoders; query_encoders._plain_tower = lambda *_: None; "
    "from vifi.__main__ import main; main()"
)


@dataclass(frozen=True, kw_only=True)
class StartupBenchmark(Bench):
    """What is started, and how often."""

    num_videos: int = 100_000
    """Videos of the store."""
    repeats: int = 3
    """Times that each is started; the row gives the median."""
    num_queries: int = 100
    """Queries to the page."""
    verbs: tuple[str, ...] = tuple(VERBS)
    """Verbs whose --help is measured."""
    extract: Path | None = None
    """Folder of videos to extract; nothing else is measured then."""
    against: Path = Path()
    """Checkout of the program that extracts in turns."""


@in_scratch
def run(settings: StartupBenchmark, scratch: Path) -> Iterator[dict]:
    """A row per measure."""
    if settings.extract is not None:
        yield from extract_rows(scratch, settings.extract, settings)
        return
    for row in measured(scratch, settings):
        yield {"videos": settings.num_videos, **row}


def measured(folder: Path, settings: StartupBenchmark) -> Iterator[dict]:
    """What each measure says."""
    for verb in settings.verbs:
        yield started(f"help {verb}", vifi(verb, "--help"), settings)
    store = make_store(folder, settings.num_videos)
    yield started("info", vifi("info", str(store.path)), settings)
    yield from search_rows(store, settings)
    yield warm_row(store, settings)


def search_rows(store: Store, settings: StartupBenchmark) -> Iterator[dict]:
    """`vifi search` from the shell against importing torch and OpenCLIP, and using them."""
    arguments = ("search", str(store.path), "someone juggling a ball", "--json")
    search = process(vifi(*arguments))
    plain = [sys.executable, "-c", _IMPORT]
    if subprocess.run(plain, capture_output=True).returncode:
        plain = [sys.executable, "-c", _OPERATORS + _IMPORT]
    # The first search makes the index.
    search()
    yield {"measure": "search", **pairs(search, process(plain), settings.repeats).row()}
    by_torch = process([sys.executable, "-c", _BY_TORCH, *arguments])
    by_torch()
    taken = pairs(search, by_torch, settings.repeats)
    yield {"measure": "search without torch", **taken.row()}


def extract_rows(folder: Path, videos: Path, settings: StartupBenchmark) -> Iterator[dict]:
    """`vifi extract` of one video and of all, beside that of another checkout."""
    store, weights = folder / "S.zarr", folder / "b32.safetensors"
    subprocess.run(vifi("scan", str(store), str(videos), "--dataset", "d"), check=True)
    save_random(weights, _EXTRACTED, "b32")
    command = vifi("extract", str(store), "--dataset", "d", "--model", _EXTRACTED, "--json")
    command += ["--pretrained", str(weights), "--frames", "8"]
    for measure, limit in (("extract start", ["--limit", "1"]), ("extract", [])):
        # Pairs: the other checkout may be this one.
        runs: list[tuple[Path, list[dict]]] = [(Path.cwd(), []), (settings.against.absolute(), [])]
        for _ in range(settings.repeats):
            for checkout, taken in runs:
                taken.append(extraction([*command, *limit], store, checkout))
        (_, ours), (_, reference) = runs
        times = [(a["seconds"], b["seconds"]) for a, b in zip(ours, reference, strict=True)]
        facts = {name: round(median(run[name] for run in ours), 2) for name in _OF_A_RUN}
        for name in _OF_A_RUN:
            facts[f"reference_{name}"] = round(median(run[name] for run in reference), 2)
        yield {"measure": measure, "videos": ours[0]["videos"], **pairs_of(times).row(), **facts}


def extraction(command: list[str], store: Path, checkout: Path) -> dict:
    """Seconds of an extraction into a copy of a store, of its processor, and beyond its work."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(store, Path(folder) / store.name)
        command = [str(copy) if part == str(store) else part for part in command]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        # Python looks for the program in the folder that it is started in.
        done = subprocess.run(command, check=True, capture_output=True, cwd=checkout)
        seconds = time.perf_counter() - start
    after, report = resource.getrusage(resource.RUSAGE_CHILDREN), json.loads(done.stdout)
    return {
        "seconds": seconds,
        "videos": report["encoded"],
        "cpu_seconds": sum(after[:2]) - sum(before[:2]),
        "beyond_seconds": seconds - report["figures"]["seconds"],
    }


def warm_row(store: Store, settings: StartupBenchmark) -> dict:
    """Queries in words to a running page, each with other words."""
    with serving(store) as ask:
        ask("warm up")
        taken = [
            elapsed(lambda number=number: ask(f"video number {number}"))
            for number in range(settings.num_queries)
        ]
    return {"measure": "warm query", **quantiles(taken).row()}


def started(measure: str, command: list[str], settings: StartupBenchmark) -> dict:
    """How long a process takes; a first run warms the files it reads."""
    return {"measure": measure, **seconds(process(command), settings.repeats).row()}


def vifi(*arguments: str) -> list[str]:
    """The command line of a verb."""
    return [sys.executable, "-m", "vifi", *arguments]


def process(command: list[str]) -> Callable[[], object]:
    """A call that runs a program, and raises CalledProcessError if it fails."""
    return lambda: subprocess.run(command, check=True, capture_output=True)


class serving:
    """A page of a store on a free port while the block runs; gives a function that asks it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Callable[[str], bytes]:
        import uvicorn

        from vifi.serving.app import make_app
        from vifi.serving.library import Library
        from vifi.verbs.serve import listen

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
    from vifistore.models.registry import model_config
    from vifistore.models.towers import load_model

    weights, config = folder / "tiny.safetensors", model_config(MODEL)
    save_random(weights, MODEL, "tiny")
    store = create_store(folder / "S.zarr")
    generator = np.random.default_rng(0)
    shape = Shape(video=num_videos, view=1, frame=1, dim=config["embed_dim"])

    def make(rows: list[int]) -> dict[str, np.ndarray]:
        return block_arrays(generator.standard_normal((len(rows), 1, 1, shape.dim), np.float32))

    with unsynced():
        add_videos(store.new_dataset("d"), ["run"] * num_videos, ["run"])
        checkpoint = store.add_checkpoint(load_model(MODEL, str(weights)).record())
        writer = write_set(store.new_dataset("d"), shape, make)
        writer.seal()
        set_name(store.dataset("d"), FEATURES, writer.id, checkpoint, force=True)
    return store


def save_random(path: Path, model: str, name: str) -> None:
    """Write a checkpoint of random weights."""
    from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
    from vifistore.models.registry import model_config
    from vifistore.models.skeletons import new_model

    config = model_config(model)
    header = CheckpointHeader(model=model, config=config, name=name, step=0, parent="", settings={})
    save_checkpoint(path, new_model(model, 0).state_dict(), header)


if __name__ == "__main__":
    script("startup", StartupBenchmark, run, CASE, __doc__)
