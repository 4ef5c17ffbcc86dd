"""`vifi export-results`: files that `clip_benchmark build` makes one table of."""

import csv
import io
import json

import pytest

from harness.results import append_rows
from tests.reports.conftest import make_row
from vifi.__main__ import run


@pytest.fixture
def results(tmp_path):
    rows = [
        make_row(),
        make_row(value=0.8, metric="top5"),
        make_row(value=0.4, metric="mean_per_class"),
        make_row(value=0.3, fusion="decision"),
        make_row(value=0.6, classifier="linear-probe", shots=4, seed=1, text_set=""),
        make_row(value=0.2, protocol="retrieval", metric="t2v_recall_at_5"),
        make_row(value=0.9, classifier="prototype", text_set=""),
    ]
    append_rows(tmp_path, rows)
    return tmp_path


def build(folder) -> list[dict]:
    """What CLIP_benchmark 1.6.2 does with a folder of results (`main_build` of its cli.py)."""
    rows = []
    for path in folder.glob("*.json"):
        document = json.loads(path.read_text())
        row = document["metrics"] | document
        del row["metrics"]
        row["model_fullname"] = row["model"] + " " + row["pretrained"]
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=sorted({name for row in rows for name in row}))
    writer.writeheader()
    writer.writerows(rows)
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def test_clip_benchmark_builds_one_table(results, capsys):
    assert run(["export-results", str(results)]) == 0
    assert "4 files in" in capsys.readouterr().out
    rows = build(results / "clip_benchmark")
    tasks = sorted(row["task"] for row in rows)
    assert tasks == ["linear_probe", *["zeroshot_classification"] * 2, "zeroshot_retrieval"]
    (embedding,) = [r for r in rows if (r["fusion"], r["task"][:4]) == ("embedding", "zero")
                    and r["acc1"]]  # fmt: skip
    assert [float(embedding[name]) for name in ("acc1", "acc5", "mean_per_class_recall")] == [
        *(0.5, 0.8, 0.4),
    ]
    assert embedding["model_fullname"] == "ViT-B-16 vifi-clip"
    (probe,) = [row for row in rows if row["task"] == "linear_probe"]
    assert (probe["lp_acc1"], probe["fewshot_k"], probe["seed"]) == ("0.6", "4", "1")
    (retrieval,) = [row for row in rows if row["task"] == "zeroshot_retrieval"]
    assert retrieval["image_retrieval_recall@5"] == "0.2"


def test_into_another_folder_as_json(results, tmp_path, capsys):
    assert run(["export-results", str(results), "--out", str(tmp_path / "x"), "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert len(files) == 4
    assert all(name.startswith(str(tmp_path / "x")) for name in files)


def test_nothing_to_export_is_one_line(tmp_path, capsys):
    assert run(["export-results", str(tmp_path / "none")]) == 2
    assert "no results folder" in capsys.readouterr().err
    append_rows(tmp_path, [make_row(classifier="prototype")])
    assert run(["export-results", str(tmp_path)]) == 2
    assert "to export; run `vifi evaluate` first" in capsys.readouterr().err


def test_a_file_in_the_way_is_wrong_use(results, capsys):
    wanted = ["export-results", str(results), "--out", str(results / "results.jsonl")]
    assert run(wanted) == 2
    assert "results.jsonl is not a folder; give another folder" in capsys.readouterr().err
