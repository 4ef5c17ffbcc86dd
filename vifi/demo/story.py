"""The paper's story in miniature: vanilla, image-, text- and full fine-tuning, three fusions.

Everything goes through the functions that the verbs call; only the videos and the model are made
here. Expect 24 classes of which motion makes six of every shape: a model of stills tells the
shapes apart, and what it gains by tuning is motion.
"""

import shlex
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

from harness.comparison import compare
from harness.measuring import Scoring
from harness.results.json_artefacts import Summary, Timing
from reports.report import make_report
from vifi.command_line.console import say
from vifi.demo.demo_rows import score, score_with_less
from vifi.demo.demo_settings import DemoScale
from vifi.demo.showing import answer_queries, draw_attention_maps, draw_map, tell_origin
from vifi.demo.steps import Steps
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
from vifistore.extract.extract_settings import ExtractSettings
from vifistore.extract.job import extract_dataset
from vifistore.scanning.scan import scan_new
from vifistore.store.store import Store, create_store
from vifistore.training.follower import FollowOptions, follower
from vifistore.videos.listing import read_source

DATASET = "shapes"
SPLIT = "test"
# Text tuning leaves the image tower, and so the embeddings, as they were.
SHOWN = (VANILLA, "image-ft", TUNED)

# Marks a folder as ours, so that a second run may clear it and a wrong --out is left alone.
_MARK = ".vifi-demo"


def run_story(scale: DemoScale, out: Path) -> None:
    """Run the whole line into `out`. Raises UsageError if something else is there."""
    _clear(out)
    steps = Steps()
    with steps.step(f"write {scale.num_clips} H.264 clips of moving shapes"):
        videos = make_videos(scale, out / "videos")
    store = _store(videos, out)
    checkpoints = _checkpoints(scale, videos, store, out, steps)
    for name, path in checkpoints.items():
        with steps.step(f"encode the test clips under {name}", videos=scale.num_test_clips):
            extract_dataset(store.dataset(DATASET), _settings(scale, name, path, out))
    place = (store.dataset(DATASET), SPLIT)
    with steps.step("score the cache: by class names, retrieval, fusions"):
        score(*place, list(checkpoints), out)
    with steps.step("score the cache: fewer frames, few shots"):
        score_with_less(*place, (VANILLA, TUNED), out)
    with steps.step("draw t-SNE of the cached embeddings"):
        draw_map(*place, SHOWN, out)
    with steps.step("answer queries from the cache"):
        answer_queries(*place, (VANILLA, TUNED), out)
    with steps.step("draw what the models look at"):
        looking = [name for name in (*SHOWN, PROMPTED) if name in checkpoints]
        draw_attention_maps(*place, looking, scale.num_frames, out)
    _finish(store, steps, out)


def _checkpoints(
    scale: DemoScale, videos: Path, store: Store, out: Path, steps: Steps
) -> dict[str, Path]:
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
        with steps.step(what), _following(scale, store, folder / name, out):
            paths |= tune(scale, name, paths, clips, folder)
    return paths


def _following(scale: DemoScale, store: Store, folder: Path, out: Path) -> AbstractContextManager:
    """Encode the test clips under every checkpoint of a folder, in a process of its own."""
    encode = _settings(scale, "", folder, out)
    words = ["--poll", "0.5", "--no-compile", "--frame-cache", str(encode.frame_cache)]
    for flag in ("frames", "precision", "batch"):
        words += [f"--{flag}", str(getattr(encode, flag))]
    options = FollowOptions(extract_every="checkpoint", extract_with=shlex.join(words))
    return follower(options, folder, str(store.path), DATASET)


def _store(videos: Path, out: Path) -> Store:
    listing = read_source(videos / SPLIT, split=SPLIT)
    store = create_store(out / "store.zarr")
    scan_new(store.new_dataset(DATASET), listing)
    return store


def _settings(scale: DemoScale, name: str, path: Path, out: Path) -> ExtractSettings:
    return ExtractSettings(
        model=scale.model,
        pretrained=str(path),
        frames=scale.num_frames,
        # The tables of two machines differ less in fp32 than in bf16.
        precision="fp32",
        batch=256,
        # For the few frames of the demo it would take longer than the tiny tower itself.
        compile=False,
        # Every clip is decoded once, for all checkpoints.
        frame_cache=out / "store.zarr.cache" / "frames",
        name=name,
    )


def _finish(store: Store, steps: Steps, out: Path) -> None:
    settings = Scoring(fusions=("embedding",))
    sets = [store.features(DATASET, name) for name in (TUNED, VANILLA)]
    (found,) = compare(sets[0], sets[1], SPLIT, settings)
    tell_origin(store.dataset(DATASET), out)
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
        make_report(out)
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
