"""The retrieval protocol of `vifi evaluate`: captions and class names become text embeddings."""

from collections.abc import Sequence
from dataclasses import replace

from harness.followed_texts import follow_videos
from harness.measuring import Scoring
from harness.results import ResultRow
from harness.retrieval.captioned import caption_texts
from harness.retrieval.evaluation import (
    CAPTION_TEMPLATE,
    is_labelled,
    retrieval,
)
from harness.retrieval.ranking import Ranking
from harness.retrieval.reranking import Rerank
from harness.retrieval.video_queries import video_retrieval
from harness.scoring import checkpoint_of
from harness.text_choice import fitting_texts
from vifi.scoring.evaluate_arguments import EvaluateArguments
from vifi.scoring.followed_cosines import make_cosines
from vifi.scoring.scored_rows import choose_texts
from vifistore.cleaning import AS_IS
from vifistore.errors import UsageError
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.logit_bias import scored_by


def asked_rows(
    features: Features, split: str, settings: Scoring, wanted: EvaluateArguments
) -> list[ResultRow]:
    """Rows of the queries that the flags ask for: videos, or captions and class names."""
    if wanted.video_queries:
        return video_retrieval(features, split, settings, wanted.groups)
    return retrieval_rows(features, split, settings, ranking_of(wanted))


def ranking_of(wanted: EvaluateArguments) -> Ranking:
    """What captions ask, and by what videos are ranked, as the flags say."""
    return Ranking(
        paragraphs=wanted.paragraphs,
        rerank=Rerank(rule=wanted.rerank, best_frames=wanted.best_frames)
        if wanted.rerank
        else None,
        normalise=wanted.normalise or None,
        bank=wanted.bank,
        sharpness=wanted.sharpness,
    )


def retrieval_rows(
    features: Features, split: str, settings: Scoring, ranking: Ranking
) -> list[ResultRow]:
    """Rows of the retrieval protocol; texts that the store lacks are encoded first."""
    for name in filter(None, (split, ranking.bank)):
        captions = caption_texts(features.dataset, name, paragraphs=ranking.paragraphs)
        if captions:
            ensure_sentences(features, captions)
        elif name == ranking.bank:
            raise UsageError(f"no video of the --bank {name} has a caption; name another split")
    texts = ""
    if is_labelled(features.dataset, split) and not ranking.words:
        prompts = (settings.templates, settings.cleaning)
        texts = choose_texts(features, split, *prompts)
    return retrieval(features, split, replace(settings, texts=texts), ranking)


def ensure_sentences(
    features: Features, sentences: list[str], templates: Sequence[str] = (CAPTION_TEMPLATE,)
) -> None:
    """Encode sentences by the checkpoint of a feature set, unless the store has them; with
    cosines, where texts follow the video."""
    checkpoint = checkpoint_of(features)
    wanted = {
        **scored_by(checkpoint),
        "class_names": sentences,
        "templates": list(templates),
    }
    if known := features.store.find_texts(**wanted):
        make_cosines(features, known[0]["id"])
        return
    if not follow_videos(checkpoint) and fitting_texts(
        features.store, checkpoint, sentences, templates, AS_IS
    ):
        return

    from vifistore.extract.class_texts import ensure_texts, reload_checkpoint

    writable = open_store(features.store.path, mode="a")
    loaded = reload_checkpoint(checkpoint)
    texts = ensure_texts(writable, loaded, sentences, tuple(templates), are_classes=False)
    make_cosines(features, texts)
