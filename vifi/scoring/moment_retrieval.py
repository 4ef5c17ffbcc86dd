"""The moment-retrieval protocol of `vifi evaluate`: sentences become embeddings, numbers and files.

Predictions are written as QVHighlights takes submissions (.jsonl), or a line per stretch (.csv).
"""

import io
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.followed_texts import follow_videos
from harness.measuring import Scoring
from harness.results.csv_tables import write_table
from harness.results.whole_files import write_bytes
from harness.retrieval.moments.moment_evaluation import (
    QUERY_TEMPLATE,
    MomentsFound,
    moment_retrieval,
)
from harness.retrieval.moments.moment_predictions import Prediction, query_texts
from harness.retrieval.moments.moment_queries import MomentQueries, read_moment_queries
from harness.scoring import checkpoint_of, load_classes
from vifi.command_line.console import say
from vifi.scoring.caption_retrieval import ensure_sentences
from vifi.scoring.evaluate_arguments import EvaluateArguments
from vifi.scoring.scored_rows import write_and_print
from vifi.scoring.store_facts import record_command, write_quarantine
from vifistore.cleaning import AS_IS
from vifistore.errors import UsageError, first_few
from vifistore.store.features import Features

logger = logging.getLogger("vifi")


def evaluate_moments(sets: Sequence[Features], wanted: EvaluateArguments) -> int:
    """Score feature sets by a query file, print and write what was found; returns the exit code."""
    assert wanted.queries is not None, "note_unused asks for it"
    queries = read_moment_queries(wanted.queries)
    if queries.num_empty:
        logger.warning(
            "%d queries of %s are left out: they have no words, or end before they begin",
            *(queries.num_empty, wanted.queries),
        )
    found = [_score(features, queries, wanted, wanted.queries) for features in sets]
    rows = [row for one in found for row in one.rows]
    write_and_print(rows, wanted.results, json=wanted.json)
    if wanted.predictions is not None:
        write_moments(wanted.predictions, found[0].predictions)
        if not wanted.json:
            say(f"{len(found[0].predictions):,} predictions in {wanted.predictions}")
    if wanted.results is not None:
        write_quarantine(wanted.results, sets)
        record_command(wanted.results)
    return 0


def _score(
    features: Features, queries: MomentQueries, wanted: EvaluateArguments, path: Path
) -> MomentsFound:
    # Before texts are encoded, which takes longest.
    for name in ("frames", "timestamps"):
        features.require_array(name)
    if not wanted.partial:
        features.require_sealed()
    _refuse_followed(features)
    sentences = query_texts(queries)
    templates = wanted.template or (QUERY_TEMPLATE,)
    ensure_sentences(features, sentences, templates)
    texts = load_classes(features, sentences, templates=templates, how=AS_IS)
    found = moment_retrieval(
        features,
        queries,
        texts,
        split=path.stem,
        proposal=wanted.proposal,
        settings=Scoring(partial=wanted.partial),
    )
    if found.missing:
        logger.warning(
            "%s of the %s videos of %s are not in %s (%s), and their queries are left out",
            f"{len(found.missing):,}",
            f"{found.num_videos:,}",
            path,
            features.dataset.name,
            first_few(found.missing),
        )
    return found


def _refuse_followed(features: Features) -> None:
    if follow_videos(checkpoint_of(features)):
        raise UsageError(
            f"texts of {features.name} follow each video and have no cosine with a frame, so that "
            "no stretch can be found by them; choose another feature set with --features"
        )


def write_moments(path: Path, predictions: Sequence[Prediction]) -> None:
    """Write what was found: .jsonl as QVHighlights takes it, .csv as a line per stretch."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        import pandas as pd

        columns = ("qid", "query", "video", "path", "rank", "start_seconds", "end_seconds", "score")
        write_table(path, pd.DataFrame(list(_lines(predictions)), columns=list(columns)))
        return
    text = io.StringIO()
    for prediction in predictions:
        text.write(json.dumps(submission(prediction), ensure_ascii=False) + "\n")
    write_bytes(path, text.getvalue().encode())


def submission(prediction: Prediction) -> dict:
    """One line of a submission to QVHighlights, best stretch first."""
    query, saliency = prediction.query, prediction.saliency
    scores = {"pred_saliency_scores": [round(float(s), 4) for s in saliency]}
    return {
        "qid": query.qid,
        "query": query.text,
        "vid": query.video,
        "pred_relevant_windows": [
            [round(moment.start, 3), round(moment.end, 3), round(moment.score, 6)]
            for moment in prediction.moments
        ],
        **(scores if len(saliency) else {}),
    }


def _lines(predictions: Sequence[Prediction]) -> Iterator[tuple]:
    for prediction in predictions:
        query = prediction.query
        for rank, moment in enumerate(prediction.moments, start=1):
            where = (rank, moment.start, moment.end, moment.score)
            yield query.qid, query.text, query.video, prediction.path, *where
