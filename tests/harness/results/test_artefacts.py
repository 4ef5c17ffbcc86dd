"""Every file of a results folder is read as it was written, and checked."""

import json
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from harness.results.artefacts import Artefacts
from harness.results.csv_artefacts import ClassTables, Frequencies, Map
from harness.results.csv_tables import table_records
from harness.results.json_artefacts import (
    AttentionFigure,
    Cost,
    GalleryHit,
    GalleryQuery,
    Origin,
    OriginCheckpoint,
    OriginRecipe,
    Quarantined,
    StudyText,
    Summary,
    Throughput,
    Timing,
    add_commands,
)
from harness.results.page_pictures import picture_path
from vifistore.errors import DamagedError

HIT = GalleryHit(rank=1, score=0.5, id="v", label="run", is_right=True, end_seconds=2)
QUERY = GalleryQuery(query="a run", kind="frames", features="f", hits=(HIT,))
LOST = Quarantined(dataset="d", features="f", id="v", reason="short", further={"attempts": 2})
COST = Cost(features="vifi-clip", gflops=281, further={"precision": "bf16"})
ORIGIN = Origin(
    checkpoints=(OriginCheckpoint(digest="0123", names=("a", "b"), step=3, depth=0),),
    recipes=(OriginRecipe(dataset="d", id="4567", names=("a",), recipe={"frames": 8}),),
    versions={"zarr": "3.1"},
)


def frame(columns: str, *rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split(","))


POINTS = frame("panel,id,label,x,y,row", ("f", "v", "NA", 0.5, -1.0, 3))
SEPARATION = frame("panel,metric,value,ci_low,ci_high", ("f", "knn_agreement", 0.5, 0.4, 0.6))
RECALL = frame(
    "dataset,features,fusion,class,value,ci_low,ci_high,num_videos",
    ("d", "f", "embedding", "=run", 0.5, 0.1, 0.9, 3),
)
MISTAKES = frame(
    "dataset,features,fusion,true,predicted,count,num_videos",
    ("d", "f", "embedding", "run", "001", 2, 3),
)
COUNTS = frame("dataset,class,count,subset", ("d", "run", 4, "base"))


def test_everything_is_optional(tmp_path):
    found = Artefacts(tmp_path)
    tables = {"classes", "frequencies"}
    empty = {name: value for name, value in vars(found).items() if name not in tables}
    alone = {"summary": Summary(), "origin": Origin(), "study": StudyText()}
    assert {name: empty.pop(name) for name in alone} == alone
    assert not any(empty.values())
    assert not len(found.frequencies) + len(found.classes.per_class) + len(found.classes.confusion)


def test_what_is_written_is_read(tmp_path):
    summary = Summary(title="Demo", lines=("One.", "Two."))
    timings = (Timing(step="clips", seconds=3.2, further={"videos": 240}),)
    speeds = (Throughput(further={"model": "m", "encode (%)": 60.5}),)
    summary.write(tmp_path)
    ORIGIN.write(tmp_path)
    for kind, entries in ((Timing, timings), (Throughput, speeds), (Quarantined, (LOST,))):
        kind.write_all(tmp_path, entries)
    Cost.add(tmp_path, [COST])
    GalleryQuery.add(tmp_path, [QUERY])
    AttentionFigure.add(tmp_path, [AttentionFigure(id="v", models=("a",), image="a.png")])
    add_commands(tmp_path, ["vifi tsne"])
    Map(name="tsne", points=POINTS, separation=SEPARATION).write(tmp_path)
    ClassTables(name="d-1", per_class=RECALL, confusion=MISTAKES).write(tmp_path)
    Frequencies(dataset="d", table=COUNTS).write(tmp_path)
    found = Artefacts(tmp_path)
    assert (found.summary, found.origin, found.timings) == (summary, ORIGIN, timings)
    assert (found.throughput, found.quarantine) == (speeds, (LOST,))
    assert (found.costs, found.gallery, found.commands) == ((COST,), (QUERY,), ("vifi tsne",))
    assert found.attention == (AttentionFigure(id="v", models=("a",), image="a.png"),)
    (drawn,) = found.maps
    tables = (drawn.points, drawn.separation, found.classes.per_class, found.classes.confusion)
    for read, written in zip(
        (*tables, found.frequencies),
        (POINTS, SEPARATION, RECALL, MISTAKES, COUNTS),
        strict=True,
    ):
        pd.testing.assert_frame_equal(read, written)


def test_the_same_one_is_replaced(tmp_path):
    for further in ({}, {"precision": "bf16"}):
        Cost.add(tmp_path, [Cost(features="vifi-clip", further=further)])
    Cost.add(tmp_path, [Cost(features="other")])
    assert [cost.further for cost in Cost.read_all(tmp_path)] == [{"precision": "bf16"}, {}]
    other = GalleryQuery(query="a run", kind="frames", features="g", hits=())
    for queries in ([QUERY, other], [QUERY]):
        GalleryQuery.add(tmp_path, queries)
    assert GalleryQuery.read_all(tmp_path) == (QUERY, other)
    for label in ("old", "new"):
        AttentionFigure.add(tmp_path, [AttentionFigure(id="v", label=label, image="a.png")])
    assert [figure.label for figure in AttentionFigure.read_all(tmp_path)] == ["new"]
    for _ in range(2):
        add_commands(tmp_path, ["vifi tsne"])
    assert Artefacts(tmp_path).commands == ("vifi tsne",)


def test_what_several_add_at_once_is_all_there(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add_commands(tmp_path, [str(number)]), range(40)))
    found = json.loads((tmp_path / "artefacts" / "commands.json").read_text())
    assert sorted(map(int, found)) == list(range(40))


def test_the_quarantine_of_a_set_goes_once_it_has_none(tmp_path):
    Quarantined.write_all(tmp_path, [LOST])
    Quarantined.write_set(tmp_path, "d", "f", [LOST])
    Quarantined.write_set(tmp_path, "d", "g", [LOST])
    assert Quarantined.read_all(tmp_path) == (LOST,), "in several files, and one video"
    for features in ("f", "g"):
        Quarantined.write_set(tmp_path, "d", features, [])
    assert not list((tmp_path / "artefacts" / "quarantine").iterdir())


def test_steps_may_lie_beside_the_rows(tmp_path):
    (tmp_path / "steps.csv").write_text("step,seconds,videos\nclips,3.2,240\nrest,8.75,\n")
    first, second = Timing.read_all(tmp_path)
    assert (first.step, first.seconds, first.further) == ("clips", 3.2, {"videos": 240})
    assert (second.seconds, second.further) == (8.75, {"videos": None})
    (tmp_path / "steps.csv").write_text("step,seconds\n,3.2\n")
    with pytest.raises(DamagedError, match=r"steps\.csv .*step None is not a text; mend"):
        Timing.read_all(tmp_path)
    Timing.write_all(tmp_path, [Timing(step="a", seconds=1)])
    assert [step.step for step in Timing.read_all(tmp_path)] == ["a"]


def test_names_stay_as_they_are_written(tmp_path):
    folder = tmp_path / "artefacts"
    folder.mkdir()
    (folder / "pca.csv").write_text("panel,id,label,x,y\n001,NA,null,0.5,1\n")
    (drawn,) = Map.read_all(tmp_path)
    assert drawn.points.iloc[0][["panel", "id", "label"]].tolist() == ["001", "NA", "null"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("summary.json", '{"lines": "one"}'),
        ("summary.json", "[1]"),
        ("quarantine.json", '[{"id": "v1"}]'),
        ("quarantine.json", "{"),
        ("costs.json", '[{"features": "a", "gflops": "many"}]'),
        ("timings.json", '[{"step": "a", "seconds": "long"}]'),
        ("gallery.json", "{}"),
        ("gallery.json", "["),
        ("gallery.json", '[{"query": "a"}]'),
        ("gallery.json", '[{"query": "a", "hits": {}}]'),
        ("gallery.json", '[{"query": "a", "hits": [{"rank": "first"}]}]'),
        ("attention.json", '[{"id": "a"}]'),
        ("provenance.json", '{"checkpoints": {}}'),
        ("provenance.json", '{"checkpoints": [{"digest": "a"}]}'),
        ("provenance.json", '{"versions": []}'),
        ("throughput.json", '["a"]'),
        ("commands.json", "{}"),
        ("tsne.csv", "panel,id,label,x\na,b,c,1\n"),
        ("tsne.csv", "panel,id,label,x,y\na,b,c,left,1\n"),
        ("tsne.csv", ""),
        ("class_frequencies.csv", "dataset,class,count,subset\nd,c,many,base\n"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, name, text):
    folder = tmp_path / "artefacts"
    folder.mkdir()
    (folder / name).write_text(text)
    with pytest.raises(DamagedError, match=rf"{name}.*mend the file or remove it$"):
        Artefacts(tmp_path)


def test_one_file_per_evaluation_is_read_as_one_table(tmp_path):
    folder = tmp_path / "artefacts"
    head = "dataset,features,fusion,class,num_videos,value,ci_low,ci_high\n"
    confused = "dataset,features,fusion,true,predicted,count,num_videos\n"
    files = {
        "per_class/a.csv": f"{head}d,x,embedding,NA,3,0.5,0.1,0.9\n",
        "per_class/b.csv": f"{head}d,x,decision,run,0,,,\n",
        "confusion/a.csv": f"{confused}d,x,embedding,run,hop,2,3\n",
        "confusion/b.csv": f"{confused}d,x,decision,hop,001,7,9\n",
        "class_frequencies/d.csv": "dataset,class,count,subset\nd,run,4,base\n",
        "class_frequencies.csv": "dataset,class,count,subset\ne,hop,2,novel\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    tables = ClassTables.read_all(tmp_path)
    recalls = table_records(tables.per_class)
    assert [(r["class"], r["value"]) for r in recalls] == [("NA", 0.5), ("run", None)]
    pairs = tables.confusion[["predicted", "count"]].to_numpy().tolist()
    assert pairs == [["001", 7], ["hop", 2]]
    assert Frequencies.read_all(tmp_path).table["class"].tolist() == ["hop", "run"]
    (folder / "confusion" / "c.csv").write_text("dataset,count\nd,2\n")
    with pytest.raises(DamagedError, match=r"c\.csv has no column features, fusion, true"):
        ClassTables.read_all(tmp_path)


def test_what_a_checkpoint_was_tuned_on_in_words():
    further = {"tuned_on": [{"dataset": "ucf101", "split": "train"}, 3]}
    checkpoint = OriginCheckpoint(digest="0", names=(), depth=0, further=further)
    assert checkpoint.tuned_on == ("ucf101/train",)
    assert OriginCheckpoint(digest="0", names=(), depth=0).tuned_on == ()


def test_only_pictures_inside_the_folder_are_shown(tmp_path):
    folder = tmp_path / "results"
    (folder / "a").mkdir(parents=True)
    for path in (folder / "a" / "b.png", folder / "secret.txt", tmp_path / "outside.png"):
        path.write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    assert picture_path(folder, "a/b.png") == "a/b.png"
    for name in ("secret.txt", "../outside.png", "link.png", "gone.png", "", None):
        assert picture_path(folder, name) == ""
    for name in ("a\0b.png", "a" * 5000 + ".png", "a/" * 3000 + "b.png"):
        assert picture_path(folder, name) == ""
    assert picture_path(folder, str(tmp_path / "outside.png")) == ""
    assert picture_path(folder, "a/../../outside.png") == ""
