"""The retrieval gallery of a results folder: queries, hits, thumbnails, right or wrong."""

from pathlib import Path

from harness.results.json_artefacts import GalleryHit, GalleryQuery
from harness.retrieval.hits import Hit, is_right
from vifi.searching.answers import Answer
from vifi.searching.thumbnails_of_hits import Pictures
from vifistore.store.store import Store


def add_to_gallery(results: Path, store: Store, features: str, answers: list[Answer]) -> None:
    """Add answers to the gallery; one of the same query, kind, dataset and features is replaced.

    Raises DamagedError if the gallery that is there cannot be read.
    """
    pictures = Pictures(store, results)
    GalleryQuery.add(results, [_query(answer, features, pictures) for answer in answers])


def _query(answer: Answer, features: str, pictures: Pictures) -> GalleryQuery:
    return GalleryQuery(
        query=answer.query,
        kind=answer.kind,
        dataset="+".join(sorted({hit.dataset for hit in answer.hits})),
        features=features,
        thumbnail=pictures.of_video(*answer.video) if answer.video else None,
        hits=tuple(_hit(answer, hit, pictures) for hit in answer.hits),
    )


def _hit(answer: Answer, hit: Hit, pictures: Pictures) -> GalleryHit:
    return GalleryHit(
        **{name: value for name, value in hit.as_dict().items() if name != "curve"},
        is_right=is_right(hit.label, answer.wanted),
        thumbnail=pictures.of_hit(hit, is_moment=answer.has_moments),
    )
