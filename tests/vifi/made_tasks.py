"""Video tasks of mteb, made of the clips of a small store."""

import sys
from pathlib import Path
from typing import Any

import pytest

from vifistore.store import open_store

LABELS = ["blue jump", "red run"]


def offline_mteb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """mteb, where it is installed, without network; a video that is decoded is an error."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    from vifistore.models import torchvision_operators

    torchvision_operators.prepare()
    reason = "mteb is not installed: pip install 'vifistore[mteb]'"
    found = pytest.importorskip("mteb", reason=reason)
    for name in ("torchcodec", "torchcodec.decoders"):
        monkeypatch.setitem(sys.modules, name, None)
    return found


def files_of(store: Path) -> list[Path]:
    """Every video that has a label and can be decoded, the last ones first."""
    dataset = open_store(store).dataset("d")
    videos = dataset.videos()
    good = videos[(videos["label"] != "") & ~videos["path"].str.contains("broken")]
    return [Path(dataset.root(), path) for path in good["path"]][::-1]


def videos_of(files: list[Path], *, as_bytes: bool) -> list:
    """Videos as a dataset of the hub holds them, or one of files."""
    if as_bytes:
        return [{"bytes": file.read_bytes(), "path": None} for file in files]
    return [str(file) for file in files]


def task_metadata(mteb, name: str, kind: str, score: str, modalities: list[str], category: str):
    """What mteb asks of a task."""
    return mteb.TaskMetadata(
        name=name,
        description="Made of noise.",
        reference="https://example.org",
        dataset={"path": "made/up", "revision": "1"},
        type=kind,
        category=category,
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score=score,
        date=("2026-01-01", "2026-01-02"),
        domains=["Activity"],
        task_subtypes=["Activity recognition"],
        license="not specified",
        annotations_creators="derived",
        dialect=[],
        modalities=modalities,
        sample_creation="created",
        bibtex_citation="",
    )


def zero_shot_task(mteb: Any, files: list[Path], *, as_bytes: bool = True) -> Any:
    """A zero-shot task of files, labelled by their folders."""
    import datasets
    from mteb.abstasks.zeroshot_classification import AbsTaskZeroShotClassification

    kinds = ("VideoZeroshotClassification", "accuracy", ["video", "text"], "v2t")

    class MadeZeroShot(AbsTaskZeroShotClassification):
        metadata = task_metadata(mteb, "MadeZeroShot", *kinds)
        input_column_name, label_column_name = "video", "label"

        def load_data(self, **_):
            columns = {
                "video": videos_of(files, as_bytes=as_bytes),
                "label": [LABELS.index(file.parent.name) for file in files],
            }
            made = datasets.Dataset.from_dict(columns).cast_column("video", datasets.Video())
            self.dataset = datasets.DatasetDict({"test": made})
            self.data_loaded = True

        def get_candidate_labels(self):
            return [f"a video of {label}." for label in LABELS]

    return MadeZeroShot()


def retrieval_task(mteb: Any, files: list[Path]) -> Any:
    """A task of videos that are to be found by texts."""
    import datasets
    from mteb.abstasks.retrieval import AbsTaskRetrieval

    kinds = ("Any2AnyRetrieval", "ndcg_at_10", ["text", "video"], "t2v")
    ids = [str(number) for number in range(len(files))]

    class MadeRetrieval(AbsTaskRetrieval):
        metadata = task_metadata(mteb, "MadeRetrieval", *kinds)

        def load_data(self, **_):
            videos = {"id": ids, "video": videos_of(files, as_bytes=True)}
            corpus = datasets.Dataset.from_dict(videos).cast_column("video", datasets.Video())
            queries = datasets.Dataset.from_dict({"id": LABELS, "text": LABELS})
            right = {
                label: {n: 1 for n, file in zip(ids, files, strict=True) if label in str(file)}
                for label in LABELS
            }
            split = {"corpus": corpus, "queries": queries, "relevant_docs": right}
            self.dataset = {"default": {"test": {**split, "top_ranked": None}}}
            self.data_loaded = True

    return MadeRetrieval()
