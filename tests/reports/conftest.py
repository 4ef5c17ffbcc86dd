"""Made-up results: the numbers mean nothing, their shape is that of the harness."""

import json
import shlex
from itertools import product

import numpy as np
import pandas as pd
import pytest

from harness.results import ResultRow, append_rows
from reports.measurements import measurements
from reports.table_model import Cell, Column, Note, Row, Table

PROVENANCE = {
    "recipe": "0123456789ab",
    "checkpoint": "c" * 64,
    "manifest": "d" * 64,
    "rows_covered": 240,
    "model": "ViT-B-16",
    "command": "vifi evaluate S.zarr zero-shot --dataset shapes --features vanilla",
    "versions": {"python": "3.11", "numpy": "2.3"},
    "machine": "Linux x86_64, 2 cores",
    "time": "2026-01-01T00:00:00+00:00",
}
NUM_CLASSES = {
    "HMDB-51": 51,
    "hmdb51": 51,
    "ucf101": 101,
    "ssv2": 174,
    "k400": 400,
    "k400-tiny": 400,
}
NASTY = "<b>&\"'|_$x^\\"


def make_row(name: str = "vifi-clip", value: float = 0.5, **changes) -> ResultRow:
    fields = {
        "protocol": "zero-shot",
        "dataset": "shapes",
        "split": "test",
        "feature_set": "0123456789ab",
        "feature_names": (name,),
        "scored_checkpoint": name,
        "text_set": "ba9876543210",
        "template": "a photo of a {name}.",
        "fusion": "embedding",
        "num_frames": 8,
        "num_views": 1,
        "classes": NUM_CLASSES.get(changes.get("dataset"), 24),
        "num_videos": 240,
        "metric": "top1",
        "value": value,
        "ci_low": value - 0.03,
        "ci_high": value + 0.03,
        "provenance": PROVENANCE,
    }
    return ResultRow(**(fields | changes))


def demo_rows() -> list[ResultRow]:
    """Rows of a small data set of one's own: every protocol and ablation."""
    rows = []
    models = {"vanilla": 0.118, "image-ft": 0.226, "text-ft": 0.403, "full-ft": 0.535}
    for name, value in models.items():
        rows.append(make_row(name, value))
        rows.append(make_row(name, min(1, value + 0.3), metric="top5"))
        rows.append(make_row(name, value - 0.01, metric="mean_per_class"))
        no_interval = {"ci_low": None, "ci_high": None}
        rows.append(make_row(name, 0.08, metric="calibration_error", **no_interval))
        for subset, part in (("base", 0.05), ("novel", -0.05)):
            split = f"{subset}_val"
            shared = {"protocol": "base-to-novel", "subset": subset, "split": split}
            rows.append(make_row(name, value + part, **shared, text_set=subset))
        shared = {"protocol": "base-to-novel", "split": "base_val+novel_val"}
        rows.append(make_row(name, value - 0.005, **shared, metric="harmonic_mean"))
    for trained, fusion in product(("", "embedding", "decision", "image"), FUSIONS):
        name = f"full-ft-{trained}" if trained else "vanilla"
        value = (
            0.12 if not trained else 0.5 + 0.04 * (trained == fusion) - 0.2 * (fusion == "image")
        )
        shared = {"protocol": "ablation-fusion", "fusion": fusion, "trained_fusion": trained}
        rows.append(make_row(name, value, **shared))
    for shots, classifier in product((2, 4, 8, 16), ("prototype", "tip-adapter")):
        value = 0.2 + 0.08 * np.log2(shots) + 0.05 * (classifier == "tip-adapter")
        shared = {"protocol": "few-shot", "shots": shots, "classifier": classifier}
        rows.append(make_row("full-ft", value, **shared, template="", text_set=""))
    for frames in (1, 2, 4, 8):
        shared = {"protocol": "ablation-frames", "num_frames": frames}
        rows.append(make_row("full-ft", 0.4 + 0.05 * np.log2(frames), **shared))
    return rows


FUSIONS = ("embedding", "decision", "image")


def paper_rows() -> list[ResultRow]:
    """Rows of the paper's data sets, some cells only."""
    rows = []
    splits = ("val1", "val2", "val3")
    for name, values in {"vifi-clip@step-2000": (0.51, 0.52, 0.50), "openai": (0.41,) * 3}.items():
        parts = [
            make_row(name, v, dataset="HMDB-51", split=s)
            for s, v in zip(splits, values, strict=True)
        ]
        joined = {
            "dataset": "HMDB-51",
            "split": "+".join(splits),
            "ci_low": None,
            "ci_high": None,
            "provenance": PROVENANCE | {"over": "splits"},
        }
        mean, std = float(np.mean(values)), float(np.std(values))
        rows += [
            *parts,
            make_row(name, mean, **joined),
            make_row(name, std, metric="top1_std", **joined),
        ]
    rows.append(make_row("my-own-model", 0.6, dataset="HMDB-51", split="val1"))
    for trained in FUSIONS:
        for fusion in FUSIONS:
            name = f"vifi-clip-{trained}"
            shared = {"protocol": "ablation-fusion", "dataset": "k400-tiny"}
            value = 0.77 if trained == fusion else 0.7
            rows.append(
                make_row(
                    name, value, **shared, fusion=fusion, trained_fusion=trained, num_frames=32
                )
            )
    return rows


@pytest.fixture
def row():
    """Make one result row."""
    return make_row


@pytest.fixture(scope="session")
def demo():
    """Measurements of a data set of one's own."""
    return measurements(demo_rows())


@pytest.fixture(scope="session")
def paper_like():
    """Measurements on data sets of the paper."""
    return measurements(paper_rows())


@pytest.fixture
def nasty():
    """A name that every format has to escape."""
    return NASTY


@pytest.fixture
def make_map():
    """Make points and separation of panels."""
    return made_up_map


@pytest.fixture
def frequencies():
    """Videos of 40 classes, the first 20 base."""
    return made_up_frequencies()


@pytest.fixture
def small_table(nasty):
    """One row of the paper, one of ours, names that need escaping."""
    columns = (
        Column(heading="Top-1", group=nasty),
        Column(heading="Top-5", group=nasty),
        Column(heading="Frames", decimals=0),
    )
    ours = Cell(value=51.04, low=48.2, high=53.96, std=0.61, difference=-0.26, source=nasty)
    printed = Cell(value=51.3, text="51.3 ± 0.6", notes=("doubt",))
    return Table(
        name="small",
        title=f"A table {nasty}",
        caption="Percent.",
        columns=columns,
        rows=(
            Row(label=nasty, section="Ours", origin="paper", cells=(printed, Cell(), Cell())),
            Row(
                label="model",
                detail=nasty,
                section="Ours",
                origin="here",
                cells=(
                    ours,
                    Cell(command=shlex.join(["vifi", "evaluate", "S", nasty])),
                    Cell(value=32.0),
                ),
            ),
        ),
        notes={"doubt": Note(text=f"Not sure {nasty}", source=nasty)},
    )


@pytest.fixture
def results_folder(tmp_path):
    """A folder as `vifi demo` leaves it, with every artefact and names that need escaping."""
    folder = tmp_path / "results"
    append_rows(folder, [*demo_rows(), *paper_rows(), make_row(NASTY, 0.25)])
    write_artefacts(folder / "artefacts")
    (folder / "steps.csv").write_text("step,seconds,videos\nclips,3.2,240\nextract,8.75,240\n")
    return folder


def write_artefacts(folder) -> None:
    folder.mkdir(parents=True)
    quarantine = {"dataset": "shapes", "id": "v1", "path": f"bad/{NASTY}.mp4", "reason": "empty"}
    costs = {"features": "vifi-clip", "gflops": 281, "throughput": 60.5, "params_millions": 124.3}
    costs |= {"model": "ViT-B-16-quickgelu", "frames": 16}
    files = {
        "summary.json": {"title": "Demo", "lines": ["A small generated data set.", NASTY]},
        "quarantine.json": [quarantine | {"message": "no frame could be decoded"}],
        "costs.json": [costs],
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    points, separation = made_up_map(("vanilla", "image-ft", "text-ft", "full-ft"), 24)
    points.to_csv(folder / "tsne.csv", index=False)
    separation.to_csv(folder / "tsne_separation.csv", index=False)
    made_up_frequencies().to_csv(folder / "class_frequencies.csv", index=False)


def made_up_map(panels, num_classes, per_class=10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Points and their separation as the harness gives them; later panels separate better."""
    generator = np.random.default_rng(0)
    shapes = ("circle", "square", "cross", "triangle")
    motions = ("sliding sideways", "rising", "falling", "growing", "shrinking", "turning")
    names = [f"a {s} {m}" for s in shapes for m in motions]
    names += [f"class {i}" for i in range(len(names), num_classes)]
    parts, separation = [], []
    for step, panel in enumerate(panels):
        centres = generator.normal(size=(num_classes, 2)) * (1 + 2 * step)
        labels = np.repeat(np.arange(num_classes), per_class)
        xy = centres[labels] + generator.normal(size=(len(labels), 2))
        ids = [f"v{i}" for i in range(len(labels))]
        columns = {"panel": panel, "row": range(len(labels)), "id": ids}
        columns |= {"label": [names[i] for i in labels], "x": xy[:, 0], "y": xy[:, 1]}
        parts.append(pd.DataFrame(columns))
        for metric in ("silhouette", "knn_agreement"):
            value = 0.1 + 0.2 * step
            separation.append((panel, metric, value, value - 0.02, value + 0.02, len(labels)))
    columns = ["panel", "metric", "value", "ci_low", "ci_high", "num_videos"]
    return pd.concat(parts, ignore_index=True), pd.DataFrame(separation, columns=columns)


def made_up_frequencies() -> pd.DataFrame:
    counts = (900 / np.arange(2, 42) ** 0.7).astype(int)
    subsets = ["base"] * 20 + ["novel"] * 20
    classes = [f"c{i}" for i in range(40)]
    return pd.DataFrame({"dataset": "ssv2", "class": classes, "count": counts, "subset": subsets})
