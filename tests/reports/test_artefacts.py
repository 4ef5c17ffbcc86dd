import pytest

from reports.artefacts import read_artefacts
from vifistore.errors import DamagedError


def test_everything_is_optional(tmp_path):
    found = read_artefacts(tmp_path)
    assert not any((found.quarantine, found.timings, found.costs, found.maps, found.summary.title))
    assert len(found.frequencies) == 0


def test_all_that_a_folder_holds(results_folder, nasty):
    found = read_artefacts(results_folder)
    assert found.summary.title == "Demo"
    assert found.quarantine[0]["path"] == f"bad/{nasty}.mp4"
    assert [step["seconds"] for step in found.timings] == [3.2, 8.75]
    assert found.costs[0]["params_millions"] == 124.3
    (drawn,) = found.maps
    assert drawn.name == "tsne"
    assert set(drawn.points["panel"]) == set(drawn.separation["panel"])
    assert found.frequencies["count"].sum() > 0


def test_names_stay_as_they_are_written(tmp_path):
    folder = tmp_path / "artefacts"
    folder.mkdir()
    (folder / "pca.csv").write_text("panel,id,label,x,y\n001,NA,null,0.5,1\n")
    (drawn,) = read_artefacts(tmp_path).maps
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
        read_artefacts(tmp_path)


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
        "quarantine.json": '[{"dataset": "d", "features": "f", "id": "v", "reason": "short"}]',
        "quarantine/d-f.json": '[{"dataset": "d", "features": "f", "id": "v", "reason": "short"}]',
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    found = read_artefacts(tmp_path)
    assert [(r["class"], r["value"]) for r in found.per_class] == [("NA", 0.5), ("run", None)]
    assert [(r["predicted"], r["count"]) for r in found.confusion] == [("001", 7), ("hop", 2)]
    assert found.frequencies["class"].tolist() == ["hop", "run"]
    assert len(found.quarantine) == 1
    (folder / "confusion" / "c.csv").write_text("dataset,count\nd,2\n")
    with pytest.raises(DamagedError, match=r"c\.csv has no column features, fusion, true"):
        read_artefacts(tmp_path)
