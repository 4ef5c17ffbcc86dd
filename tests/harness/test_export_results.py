import json
from dataclasses import replace

import pytest

from harness.export_results import export_clip_benchmark, file_name
from harness.protocols.few_shot import FewShot, few_shot
from harness.protocols.zero_shot import zero_shot
from vifistore.errors import UsageError


@pytest.fixture
def maker(make_store):
    maker = make_store(num_videos=60)
    maker.features(maker.frames(noise=2.0))
    maker.texts()
    return maker


def test_one_document_per_evaluation_with_the_keys_clip_benchmark_reads(maker, tmp_path, value_of):
    rows = zero_shot(maker.store.features("toy", "tiny"))
    (path,) = export_clip_benchmark(rows, tmp_path / "out")
    assert path.name.startswith("toy_tiny_tiny_en_zeroshot_classification_")
    document = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert set(document["metrics"]) == {"acc1", "acc5", "mean_per_class_recall"}
    assert document["metrics"]["acc1"] == value_of(rows, metric="top1").value
    keys = ("dataset", "model", "pretrained", "task", "language", "fusion", "split")
    assert [document[key] for key in keys] == [
        "toy",
        "tiny",
        "tiny",
        "zeroshot_classification",
        "en",
        "embedding",
        "all",
    ]


def test_linear_probe_has_its_own_metrics_and_other_classifiers_are_left_out(maker, tmp_path):
    maker.split("train", range(30))
    maker.split("val", range(30, 60))
    rows = []
    for classifier in ("linear-probe", "prototype"):
        settings = FewShot(classifier=classifier, train_split="train", shots=(2,))
        rows += few_shot(maker.store.features("toy", "tiny"), "val", settings)
    (path,) = export_clip_benchmark(rows, tmp_path)
    metrics = json.loads(path.read_text())["metrics"]
    assert set(metrics) == {"lp_acc1", "lp_acc5", "lp_mean_per_class_recall", "fewshot_k", "seed"}
    assert (metrics["fewshot_k"], metrics["seed"]) == (2, 0)
    with pytest.raises(UsageError, match="run `vifi evaluate` first"):
        export_clip_benchmark([row for row in rows if row.classifier == "prototype"], tmp_path)


def test_different_settings_never_share_a_file_and_names_stay_inside(maker, tmp_path):
    rows = zero_shot(maker.store.features("toy", "tiny"))
    others = [replace(row, fusion="decision") for row in rows]
    assert len(export_clip_benchmark(rows + others, tmp_path)) == 2
    hostile = replace(rows[0], dataset="../../etc", scored_checkpoint="a/b")
    assert "/" not in file_name(hostile)
    assert not file_name(hostile).startswith(".")


def test_all_files_or_none(maker, tmp_path, monkeypatch):
    rows = zero_shot(maker.store.features("toy", "tiny"))
    unfit = [replace(row, fusion="decision", seed=object()) for row in rows]
    monkeypatch.setattr("harness.export_results.file_name", lambda row: f"{row.fusion}.json")
    with pytest.raises(TypeError):
        export_clip_benchmark(rows + unfit, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
