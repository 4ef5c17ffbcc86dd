"""What the demo's page shows beside numbers: a map, answers to queries, and attention."""

from collections.abc import Sequence
from pathlib import Path

from harness.projection.maps import project
from harness.projection.panels import Choice, load_panels
from harness.projection.separation import separation
from harness.results.csv_artefacts import Map
from harness.results.json_artefacts import Quarantined
from harness.retrieval.search import Searcher
from vifi.scoring.store_facts import quarantined_videos, write_provenance, write_throughput
from vifi.searching.answers import Answer
from vifi.searching.gallery import add_to_gallery
from vifi.searching.query_words import query_encoder
from vifi.searching.thumbnails_of_hits import write_thumbnails
from vifi.verbs.attention import AttentionArguments, draw_attention
from vifistore.models.wording import PAPER_TEMPLATE
from vifistore.store.dataset import Dataset

_NUM_QUERIES = 3
_NUM_HITS = 6
_NUM_ATTENTION_VIDEOS = 2


def draw_map(dataset: Dataset, split: str, names: Sequence[str], out: Path) -> None:
    """t-SNE of these feature sets, with a picture of every clip."""
    panels = load_panels([dataset.features(name) for name in names], Choice(split=split))
    Map(name="tsne", points=project(panels), separation=separation(panels)).write(out)
    write_thumbnails(dataset, out, panels.rows)


def answer_queries(dataset: Dataset, split: str, names: Sequence[str], out: Path) -> None:
    """The same queries to every feature set: in words, for a moment, and by a video."""
    classes = dataset.class_names()
    asked = classes[:: max(1, len(classes) // _NUM_QUERIES)][:_NUM_QUERIES]
    texts = [PAPER_TEMPLATE.format(name) for name in asked]
    last = int(dataset.split(split).rows[-1])
    for name in names:
        searcher = Searcher(dataset.store, name, dataset=dataset.name, split=split)
        vectors = query_encoder(dataset.store, searcher.checkpoint, (PAPER_TEMPLATE,))(asked)
        answers = [
            Answer(query=text, kind="text", hits=hits, wanted=label)
            for text, label, hits in zip(
                texts, asked, searcher.search(vectors, _NUM_HITS), strict=True
            )
        ]
        (moments,) = searcher.moments(vectors[:1], _NUM_HITS)
        answers.append(Answer(query=texts[0], kind="frames", hits=moments, wanted=asked[0]))
        answers.append(_like(searcher, dataset, last))
        add_to_gallery(out, dataset.store, searcher.name, answers)


def draw_attention_maps(
    dataset: Dataset, split: str, names: Sequence[str], num_frames: int, out: Path
) -> None:
    """What these checkpoints look at in the first clip of some classes."""
    found = dataset.split(split)
    step = max(1, len(found.class_names) // _NUM_ATTENTION_VIDEOS)
    labels = range(1, len(found.class_names), step)[:_NUM_ATTENTION_VIDEOS]
    rows = [int(found.rows[(found.labels == label).argmax()]) for label in labels]
    wanted = AttentionArguments(
        store=str(dataset.store.path),
        checkpoints=tuple(names),
        frames=2 * num_frames,
        results=out,
    )
    draw_attention(dataset, rows, wanted)


def tell_origin(dataset: Dataset, out: Path) -> None:
    """Checkpoints, recipes, how fast clips were encoded, and those that could not be read."""
    write_provenance(dataset.store, out)
    write_throughput(dataset.store, out)
    Quarantined.write_all(out, quarantined_videos([dataset]))


def _like(searcher: Searcher, dataset: Dataset, row: int) -> Answer:
    """Videos like the one of this row, whose id is `name`."""
    video = (dataset.name, row)
    (hits,) = searcher.search(searcher.vector_of(*video), _NUM_HITS, without=video)
    wanted = searcher.label_of(*video)
    return Answer(
        query=str(dataset.column("id")[row]), kind="video", hits=hits, wanted=wanted, video=video
    )
