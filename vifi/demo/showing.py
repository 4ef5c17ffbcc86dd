"""What the demo's page shows beside numbers: a map, answers to queries, and attention."""

from collections.abc import Sequence
from pathlib import Path

from harness.projection.maps import project
from harness.projection.panels import Choice, load_panels
from harness.projection.separation import separation
from harness.retrieval.search import Searcher
from vifi.answers import Answer
from vifi.artefacts import (
    quarantined_videos,
    write_artefact,
    write_map,
    write_provenance,
    write_throughput,
    write_thumbnails,
)
from vifi.attention import AttentionArguments, draw_attention
from vifi.gallery import add_to_gallery
from vifi.queries import query_encoder
from vifistore.models.wording import PAPER_TEMPLATE
from vifistore.store.store import Store

_NUM_QUERIES = 3
_NUM_HITS = 6
_NUM_ATTENTION_VIDEOS = 2


def draw_map(store: Store, dataset: str, split: str, names: Sequence[str], out: Path) -> None:
    """t-SNE of these feature sets, with a picture of every clip."""
    panels = load_panels(store, dataset, names, Choice(split=split))
    write_map(out, "tsne", project(store, panels), separation(panels))
    write_thumbnails(store, out, dataset, panels.rows)


def answer_queries(store: Store, dataset: str, split: str, names: Sequence[str], out: Path) -> None:
    """The same queries to every feature set: in words, for a moment, and by a video."""
    classes = store.class_names(dataset)
    asked = classes[:: max(1, len(classes) // _NUM_QUERIES)][:_NUM_QUERIES]
    texts = [PAPER_TEMPLATE.format(name) for name in asked]
    last = int(store.split(dataset, split).rows[-1])
    for name in names:
        searcher = Searcher(store, name, dataset=dataset, split=split)
        vectors = query_encoder(store, searcher.checkpoint, (PAPER_TEMPLATE,))(asked)
        answers = [
            Answer(query=text, kind="text", hits=hits, wanted=label)
            for text, label, hits in zip(
                texts, asked, searcher.search(vectors, _NUM_HITS), strict=True
            )
        ]
        (moments,) = searcher.moments(vectors[:1], _NUM_HITS)
        answers.append(Answer(query=texts[0], kind="frames", hits=moments, wanted=asked[0]))
        answers.append(_like(searcher, dataset, last, store.videos(dataset)["id"].iloc[last]))
        add_to_gallery(out, store, searcher.name, answers)


def draw_attention_maps(
    store: Store, dataset: str, split: str, names: Sequence[str], num_frames: int, out: Path
) -> None:
    """What these checkpoints look at in the first clip of some classes."""
    found = store.split(dataset, split)
    step = max(1, len(found.class_names) // _NUM_ATTENTION_VIDEOS)
    labels = range(1, len(found.class_names), step)[:_NUM_ATTENTION_VIDEOS]
    rows = [int(found.rows[(found.labels == label).argmax()]) for label in labels]
    wanted = AttentionArguments(
        store=Path(store.path),
        checkpoints=tuple(names),
        frames=2 * num_frames,
        results=out,
    )
    draw_attention(store, dataset, rows, wanted)


def tell_origin(store: Store, dataset: str, out: Path) -> None:
    """Checkpoints, recipes, how fast clips were encoded, and those that could not be read."""
    write_provenance(store, out)
    write_throughput(store, out)
    write_artefact(out, "quarantine", quarantined_videos(store, [dataset]))


def _like(searcher: Searcher, dataset: str, row: int, name: str) -> Answer:
    """Videos like the one of this row, whose id is `name`."""
    video = (dataset, row)
    (hits,) = searcher.search(searcher.vector_of(*video), _NUM_HITS, without=video)
    wanted = searcher.label_of(*video)
    return Answer(query=name, kind="video", hits=hits, wanted=wanted, video=video)
