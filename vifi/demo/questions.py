"""What the demo asks of the store: commands of `vifi`, as anybody would type them."""

import contextlib
import importlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path

from vifi.__main__ import module_of
from vifi.command_line.console import say
from vifi.demo.clips import class_names
from vifi.demo.demo_settings import DemoScale
from vifi.demo.tuning import PROMPTED, TUNED, VANILLA
from vifistore.errors import VifiError, shell

DATASET = "shapes"
SPLIT = "test"
# Text tuning leaves the image tower, and so the embeddings, as they were.
SHOWN = (VANILLA, "image-ft", TUNED)

# The test clips again, in two halves: a classifier is trained on one and scored on the other.
_HALVES = r"(?P<support>[02468]\.mp4)|(?P<query>[13579]\.mp4)"
_FRAME_COUNTS = (1, 2, 4, 8, 16)
_SHOTS = (1, 2, 4, 8)
_NUM_QUERIES = 3
_NUM_ATTENTION_VIDEOS = 2

Command = Sequence[object]


def run_verb(*command: object) -> None:
    """Say a command line of `vifi` and run it here; what it prints and logs goes to nobody.

    Raises what the verb does, and VifiError where it ends with a code that is not 0.
    """
    verb, *arguments = map(str, command)
    say(f"   vifi {shell(verb, *arguments)}")
    logger = logging.getLogger("vifi")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            code = importlib.import_module(module_of(verb)).main(arguments)
    finally:
        logger.setLevel(level)
    if code:
        line = shell("vifi", verb, *arguments)
        raise VifiError(f"a command of the demo ended with code {code}; run it to see why: {line}")


def questions(scale: DemoScale, out: Path, names: Sequence[str]) -> dict[str, list[Command]]:
    """The commands of each step, in their order; `names` are those of all feature sets."""
    store, results = out / "store.zarr", ("--results", out)
    pair, test = ("--features", VANILLA, TUNED), ("--dataset", DATASET, "--split", SPLIT)
    every = (*test, "--features", *names, *results)
    frames = ("--frames", *(count for count in _FRAME_COUNTS if count <= scale.num_frames))
    halves = ("--root", out / "videos", "--dataset", DATASET, "--append", "--split-by", _HALVES)
    looking = [name for name in (*SHOWN, PROMPTED) if name in names]
    return {
        "score the cache: by class names, retrieval, fusions": [
            ("evaluate", store, "zero-shot", *every),
            ("evaluate", store, "retrieval", *every),
            ("ablate", store, *every),
        ],
        "score the cache: fewer frames, few shots": [
            ("ablate", store, *test, *pair, "--fusion", "embedding", *frames, *results),
            ("scan", store, out / "videos" / SPLIT, *halves),
            ("evaluate", store, "few-shot", *_few_shot(scale), *pair, *results),
        ],
        "draw t-SNE of the cached embeddings": [
            ("tsne", store, *test, "--features", *SHOWN, "--out", out / "tsne", *results)
        ],
        "answer queries from the cache": [
            ("search", store, *query, *test, "--features", name, "-k", 6, *results)
            for name in (VANILLA, TUNED)
            for query in _queries(scale, out)
        ],
        "draw what the models look at": [
            (
                *("attention", store, "--dataset", DATASET, "--videos", *_watched(scale)),
                *("--checkpoints", *looking, "--frames", 2 * scale.num_frames, *results),
            )
        ],
    }


def _few_shot(scale: DemoScale) -> Command:
    shots = [count for count in _SHOTS if count <= -(-scale.test_clips // 2)]
    halves = ("--split", "query", "--train-split", "support", "--classifier", "prototype")
    return ("--dataset", DATASET, *halves, "--shots", *shots, "--draws", 2)


def _queries(scale: DemoScale, out: Path) -> list[Command]:
    """By words, for a moment, and by a video."""
    classes = class_names()[: scale.classes]
    asked = classes[:: max(1, len(classes) // _NUM_QUERIES)][:_NUM_QUERIES]
    (out / "queries.txt").write_text("\n".join(asked), encoding="utf-8")
    words = ("--template", "paper")
    last = f"{SPLIT}/{max(classes)}/{scale.test_clips - 1:03d}.mp4"
    return [
        ("--queries", out / "queries.txt", *words),
        (asked[0], *words, "--frames"),
        ("--like", last),
    ]


def _watched(scale: DemoScale) -> list[str]:
    """The first clip of some classes."""
    classes = sorted(class_names()[: scale.classes])
    step = max(1, len(classes) // _NUM_ATTENTION_VIDEOS)
    return [f"{SPLIT}/{name}/000.mp4" for name in classes[1::step][:_NUM_ATTENTION_VIDEOS]]
