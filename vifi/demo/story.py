"""The paper's story in miniature: vanilla, image-, text- and full fine-tuning, three fusions.

Videos and models are made here; all else is done by the verbs, whose command lines are shown.
Expect 24 classes of which motion makes six of every shape: a model of stills tells the shapes
apart, and what it gains by tuning is motion.
"""

import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from harness.comparison import compare
from harness.measuring import Scoring
from harness.results.json_artefacts import Summary, Timing
from vifi.command_line.console import say
from vifi.demo.demo_settings import DemoScale
from vifi.demo.questions import DATASET, SPLIT, Command, questions, run_verb
from vifi.demo.systems import systems
from vifi.demo.tuning import (
    PROMPTED,
    TUNED,
    VANILLA,
    VARIANTS,
    make_videos,
    pretrain,
    read_training_clips,
    tune,
)
from vifistore.errors import UsageError
from vifistore.store.store import open_store
from vifistore.training.follower import FollowOptions, follower

# Marks a folder as ours, so that a second run may clear it and a wrong --out is left alone.
_MARK = ".vifi-demo"


class Steps:
    """Says what is done and remembers how long each step took."""

    def __init__(self) -> None:
        self.timings: list[Timing] = []

    @contextmanager
    def step(self, what: str, *, videos: int = 0) -> Iterator[None]:
        """Say `what`, run the body, say its seconds; `videos` are how many it went through."""
        say(f"{len(self.timings) + 1}. {what} ...")
        start = time.perf_counter()
        yield
        seconds = round(time.perf_counter() - start, 1)
        count = {"videos": videos} if videos else {}
        self.timings.append(Timing(step=what, seconds=seconds, further=count))
        say(f"   {seconds:.1f} s")

    @property
    def total_seconds(self) -> float:
        """Seconds of all steps."""
        return sum(timing.seconds for timing in self.timings)


def run_story(scale: DemoScale, out: Path) -> None:
    """Run the whole line into `out`. Raises UsageError if something else is there."""
    _clear(out)
    steps = Steps()
    with steps.step(f"write {scale.num_clips} H.264 clips of moving shapes"):
        videos = make_videos(scale, out / "videos")
    store = out / "store.zarr"
    with steps.step("scan the test clips", videos=scale.num_test_clips):
        listed = ("--root", videos, "--dataset", DATASET, "--split", SPLIT)
        run_verb("scan", store, videos / SPLIT, *listed)
    checkpoints = _checkpoints(scale, videos, out, steps)
    for name, path in checkpoints.items():
        weights = ("--model", scale.model, "--pretrained", path, "--name", name)
        with steps.step(f"encode the test clips under {name}", videos=scale.num_test_clips):
            frames = ("--frames", scale.num_frames)
            run_verb("extract", store, "--dataset", DATASET, *weights, *frames, *_how(out))
    asked = questions(scale, out, list(checkpoints))
    if scale.extras:
        asked |= systems(scale, out, checkpoints[VANILLA], _how(out))
    for what, commands in asked.items():
        with steps.step(what):
            for command in commands:
                run_verb(*command)
    _finish(store, steps, out)


def _checkpoints(scale: DemoScale, videos: Path, out: Path, steps: Steps) -> dict[str, Path]:
    folder = out / "checkpoints"
    paths = {}
    with steps.step(f"train a tiny CLIP on {scale.num_stills} captioned stills"):
        paths[VANILLA] = pretrain(scale, folder)
    with steps.step("decode the training clips"):
        clips = read_training_clips(scale, videos, DATASET)
    for name in [*VARIANTS, PROMPTED] if scale.extras else VARIANTS:
        if name != TUNED:
            with steps.step(f"fine-tune {name} on the clips"):
                paths |= tune(scale, name, paths, clips, folder)
            continue
        what = f"fine-tune {name}, and encode its checkpoints meanwhile"
        with steps.step(what), _following(scale, folder / name, out):
            paths |= tune(scale, name, paths, clips, folder)
    return paths


def _following(scale: DemoScale, folder: Path, out: Path) -> AbstractContextManager:
    """Encode the test clips under every checkpoint of a folder, in a process of its own."""
    how = ("--frames", scale.num_frames, *_how(out))
    words = shlex.join(["--poll", "0.5", *map(str, how)])
    options = FollowOptions(extract_every="checkpoint", extract_with=words)
    return follower(options, folder, str(out / "store.zarr"), DATASET)


def _how(out: Path) -> Command:
    return (
        # The tables of two machines differ less in fp32 than in bf16.
        *("--precision", "fp32", "--batch", 256),
        # For the few frames of the demo it would take longer than the tiny tower itself.
        "--no-compile",
        # Every clip is decoded once, for all checkpoints.
        *("--frame-cache", out / "store.zarr.cache" / "frames"),
    )


def _finish(path: Path, steps: Steps, out: Path) -> None:
    settings = Scoring(fusions=("embedding",))
    store = open_store(path)
    sets = [store.features(DATASET, name) for name in (TUNED, VANILLA)]
    (found,) = compare(sets[0], sets[1], SPLIT, settings)
    lines = (
        f"{found.sentence} (paired bootstrap over {found.num_videos} test clips of "
        f"{found.row.classes} classes).",
        "A tiny CLIP was trained on captioned stills, then fine-tuned on clips of moving shapes; "
        "every number below comes from embeddings cached once per checkpoint. Only the untuned "
        "model is scored zero-shot: the others were tuned on other clips of the same classes.",
    )
    Summary(title="vifistore demo", lines=lines).write(out)
    with steps.step("draw tables, figures and the page"):
        Timing.write_all(out, steps.timings)
        run_verb("report", out, "--store", path)
    say("")
    say((out / "zero-shot.md").read_text(encoding="utf-8"))
    say((out / "fusion.md").read_text(encoding="utf-8"))
    over = f"{found.num_videos} clips, {found.row.classes} classes"
    say(f"{found.sentence} (paired bootstrap over {over})")
    say(f"{steps.total_seconds:.0f} s in all; open {out / 'index.html'}")


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / _MARK).exists():
            raise UsageError(f"{out} holds something that is not a demo; give another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()
