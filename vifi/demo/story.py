"""The paper's story in miniature: vanilla, image-, text- and full fine-tuning, three fusions.

Everything goes through the functions that the verbs call; only the videos and the model are made
here. Expect 24 classes of which motion makes six of every shape: a model of stills tells the
shapes apart, and what it gains by tuning is motion.
"""

import shutil
from pathlib import Path

from harness.ablations import Ablation, frames_ablation, fusion_matrix
from harness.comparison import compare
from harness.measuring import Scoring
from harness.projection import Projection, project, separation
from harness.protocols.zero_shot import zero_shot
from harness.results import append_rows
from reports.report import make_report
from vifi.artefacts import quarantined_videos, write_artefact, write_map
from vifi.console import say
from vifi.demo.settings import DemoScale
from vifi.demo.steps import Steps
from vifi.demo.tuning import (
    VANILLA,
    VARIANTS,
    make_videos,
    pretrain,
    read_training_clips,
    tune,
)
from vifistore.errors import UsageError
from vifistore.extract.job import extract_dataset
from vifistore.extract.scan import add_listing, new_rows
from vifistore.extract.settings import ExtractSettings
from vifistore.store.store import Store, create_store
from vifistore.videos.listing import read_source
from vifistore.videos.probe import probe_all

DATASET = "shapes"
SPLIT = "test"
TUNED = "vifi-clip"

# Marks a folder as ours, so that a second run may clear it and a wrong --out is left alone.
_MARK = ".vifi-demo"


def run_story(scale: DemoScale, out: Path) -> None:
    """Run the whole line into `out`. Raises UsageError if something else is there."""
    _clear(out)
    steps = Steps()
    with steps.step(f"write {scale.num_clips} H.264 clips of moving shapes"):
        videos = make_videos(scale, out / "videos")
    checkpoints = _checkpoints(scale, videos, out, steps)
    store = _store(videos, out)
    for name, path in checkpoints.items():
        with steps.step(f"encode the test clips under {name}"):
            extract_dataset(store, DATASET, _settings(scale, name, path))
    with steps.step("score the cache: zero-shot, fusions, number of frames"):
        _score(store, list(checkpoints), out)
    with steps.step("draw t-SNE of the cached embeddings"):
        _draw_map(store, out)
    _finish(store, steps, out)


def _checkpoints(scale: DemoScale, videos: Path, out: Path, steps: Steps) -> dict[str, Path]:
    folder = out / "checkpoints"
    paths = {VANILLA: folder / f"{VANILLA}.safetensors"}
    with steps.step(f"train a tiny CLIP on {scale.num_stills} captioned stills"):
        pretrain(scale, paths[VANILLA])
    with steps.step("decode the training clips"):
        clips = read_training_clips(scale, videos)
    for name in VARIANTS:
        with steps.step(f"fine-tune {name} on the clips"):
            paths[name] = folder / f"{name}.safetensors"
            tune(scale, name, paths[VANILLA], clips, paths[name])
    return paths


def _store(videos: Path, out: Path) -> Store:
    listing = read_source(videos / SPLIT, split=SPLIT)
    rows = new_rows(None, DATASET, listing, append=False)
    probes = probe_all(listing.root / listing.paths[row] for row in rows)
    store = create_store(out / "store.zarr")
    add_listing(store, DATASET, listing, rows, probes)
    return store


def _settings(scale: DemoScale, name: str, path: Path) -> ExtractSettings:
    return ExtractSettings(
        model=scale.model,
        pretrained=str(path),
        frames=scale.num_frames,
        # The tables of two machines differ less in fp32 than in bf16.
        precision="fp32",
        batch=256,
        name=name,
    )


def _score(store: Store, names: list[str], out: Path) -> None:
    rows = []
    for name in names:
        rows += zero_shot(store, DATASET, name, (SPLIT,))
    rows += fusion_matrix(store, DATASET, names, SPLIT)
    counts = [n for n in (1, 2, 4, 8, 16) if n <= store.features(DATASET, TUNED).frames.shape[2]]
    settings = Ablation(fusions=("embedding",))
    for name in (VANILLA, TUNED):
        rows += frames_ablation(store, DATASET, name, counts, SPLIT, settings)
    append_rows(out, rows)


def _draw_map(store: Store, out: Path) -> None:
    panels = (VANILLA, "image-ft", "text-ft", TUNED)
    # Text tuning leaves the image tower, and so the embeddings, as they were.
    shown = [name for name in panels if name != "text-ft"]
    points = project(store, DATASET, shown, SPLIT, Projection())
    write_map(out, "tsne", points, separation(store, DATASET, shown, SPLIT))


def _finish(store: Store, steps: Steps, out: Path) -> None:
    settings = Scoring(fusions=("embedding",))
    (found,) = compare(store, DATASET, TUNED, VANILLA, SPLIT, settings)
    write_artefact(out, "quarantine", quarantined_videos(store, [DATASET]))
    write_artefact(
        out,
        "summary",
        {
            "title": "vifistore demo",
            "lines": [
                f"{found.sentence} (paired bootstrap over {found.num_videos} test clips).",
                "A tiny CLIP was trained on captioned stills, then fine-tuned on clips of moving "
                "shapes; every number below comes from embeddings cached once per checkpoint.",
            ],
        },
    )
    with steps.step("draw tables, figures and the page"):
        write_artefact(out, "timings", steps.timings)
        make_report(out)
    say("")
    say((out / "zero-shot.md").read_text(encoding="utf-8"))
    say((out / "fusion.md").read_text(encoding="utf-8"))
    say(f"{found.sentence} (paired bootstrap over {found.num_videos} clips)")
    say(f"{steps.total_seconds:.0f} s in all; open {out / 'index.html'}")


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / _MARK).exists():
            raise UsageError(f"{out} holds something that is not a demo; give another --out")
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).touch()
