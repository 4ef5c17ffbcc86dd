"""A results folder with everything that a page can show, and the page of it."""

import json
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from harness.results import append_rows, read_rows
from harness.results.artefacts import Artefacts
from harness.results.run_histories import FollowedScore, RunHistory, RunPoint
from harness.results.video_answers import DIGEST, VideoAnswers, answers_digest
from reports.class_answers import answer_tables
from reports.measurements import measurements
from reports.page.document import write_page
from reports.report import all_tables


def picture(path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (200, 40, 40)).save(path)


def _make_first_video_nasty(path, name) -> None:
    """In every panel, and far from the others so that a pointer meets it alone."""
    points = pd.read_csv(path).assign(dataset="shapes")
    points.loc[points["id"] == "v0", ["x", "y"]] = points[["x", "y"]].max().max() + 5
    points = points.replace({"id": {"v0": name}, "label": {"a circle sliding sideways": name}})
    points.to_csv(path, index=False)


@pytest.fixture
def full_folder(results_folder, nasty):
    """`results_folder` with pictures, queries, attention, classes and provenance; nasty names."""
    folder, inner = results_folder, results_folder / "artefacts"
    _make_first_video_nasty(inner / "tsne.csv", nasty)
    picture(inner / "thumbnails" / "shapes" / "0.jpg")
    picture(folder / "attention" / "a <b> #1.png")
    hit = {"rank": 1, "score": 0.31, "id": nasty, "path": nasty, "label": nasty}
    moment = {"start_seconds": 0.5, "end_seconds": 2.0, "is_right": True}
    hits = [
        {**hit, **moment, "thumbnail": "artefacts/thumbnails/shapes/0.jpg"},
        {**hit, "rank": 2, "is_right": False, "thumbnail": "../../etc/passwd.png"},
        {**hit, "rank": 3, "is_right": None, "thumbnail": None},
    ]
    checkpoint = {"digest": "0123456789ab", "names": [nasty], "step": 1200, "depth": 1}
    documents = {
        "gallery": [{"query": nasty, "kind": "text", "features": nasty, "hits": hits}],
        "attention": [{"id": nasty, "label": nasty, "image": "attention/a <b> #1.png"}],
        "provenance": {
            "checkpoints": [{**checkpoint, "names": ["vanilla"], "depth": 0}, checkpoint],
            "recipes": [{"id": "ba9876543210", "names": [nasty], "recipe": {"frames": nasty}}],
            "versions": {"zarr": "3.1"},
        },
        "study": {"files": {nasty: nasty}},
        "throughput": [{"what": nasty, "videos_per_second": 63.5}],
        "commands": [f"vifi tsne {nasty}"],
    }
    for name, document in documents.items():
        (inner / f"{name}.json").write_text(json.dumps(document))
    quoted = '"' + nasty.replace('"', '""') + '"'
    setting = f"shapes,vifi-clip,embedding,{quoted}"
    (inner / "confusion").mkdir()
    (inner / "confusion" / "shapes-1.csv").write_text(
        "dataset,features,fusion,true,predicted,count,num_videos\n"
        f"{setting},a square,7,10\nshapes,vifi-clip,embedding,x,y,2,10\n"
    )
    (inner / "per_class").mkdir()
    (inner / "per_class" / "shapes-1.csv").write_text(
        "dataset,features,fusion,class,value,ci_low,ci_high,num_videos\n"
        f"{setting},0.3,0.1,0.5,10\nshapes,vifi-clip,embedding,easy,,,,0\n"
    )
    _keep_answers(folder, nasty)
    points = (RunPoint(step=1, loss=0.5), RunPoint(step=2, loss=0.4))
    scored = {"features": nasty, "dataset": nasty, "split": nasty}
    scores = (FollowedScore(step=2, value=0.5, **scored),)
    runs = [RunHistory(name=name, points=points, scores=scores) for name in (nasty, "other")]
    RunHistory.write_all(folder, runs)
    return folder


def _keep_answers(folder, nasty) -> None:
    """Of two systems, of which the first has a video that the second lacks."""
    rows = [row for row in read_rows(folder) if row.dataset == "shapes" and row.metric == "top1"]
    first, second = [row for row in rows if row.protocol in ("zero-shot", "ablation-fusion")][:2]
    labels = [nasty, nasty, "easy", "easy"]
    for row, count, predicted in ((first, 4, ["easy"] * 4), (second, 3, labels)):
        columns = {"id": [f"{nasty}{n}" for n in range(4)], "row": range(4), "source": range(4)}
        table = pd.DataFrame({**columns, "label": labels, "predicted": predicted})
        VideoAnswers(name=row.score_name, table=table.iloc[:count]).write(folder)
        told = answers_digest(*(table[name].iloc[:count] for name in ("row", "label", "predicted")))
        append_rows(folder, [replace(row, provenance=row.provenance | {DIGEST: told})])


@pytest.fixture
def write_full_page(full_folder):
    """Write the page of `full_folder` and return its path."""

    def write():
        rows = read_rows(full_folder)
        artefacts = Artefacts(full_folder)
        found = measurements(rows)
        tables = all_tables(found, artefacts.costs)
        answers = answer_tables(full_folder, found)
        return write_page(full_folder, rows, found, tables, artefacts, answers)[-1]

    return write


@pytest.fixture
def page(write_full_page):
    """The text of the page."""
    return write_full_page().read_text(encoding="utf-8")
