"""Rows of plain scores, and of every lever that is asked for beside them.

A lever's rows have its name, and one more metric, `top1_minus_plain`: how much more often it is
right than the plain score on the same videos, by a paired bootstrap. Their provenance says in
`lifted` how many seconds it took beyond plain scores, whether it is transductive, what it chose,
and by the labels of which split. An ensemble was tuned on what any of its sets was.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.leaks import neighbours_between
from harness.levers.given_scores import given_scores
from harness.levers.kin_weights import weight_levers
from harness.levers.known_levers import ALL, WEIGHTS, chosen_levers
from harness.levers.lever import Given, Lever
from harness.measuring import Scoring, Setup, scored_rows
from harness.metrics import is_right
from harness.results import ResultRow
from harness.scoring import Classes, Videos
from harness.statistics import paired_bootstrap
from harness.zero_shot_claims import claim_of, joined_claims
from vifistore.errors import UsageError

MINUS_PLAIN = "top1_minus_plain"


def rows_with_levers(
    videos: Videos,
    classes: Classes,
    scores: Mapping[str, np.ndarray],
    settings: Scoring,
    setup: Setup,
) -> list[ResultRow]:
    """Rows of {fusion: plain scores [video class]}, then those of the levers of the settings.

    Raises UsageError for levers of texts that follow the video, and as `chosen_levers`.
    """
    rows = scored_rows(videos, scores, settings, setup)
    asked = settings.levers
    levers = chosen_levers(asked, videos.features)
    has_weights = asked.kin and not {WEIGHTS, ALL}.isdisjoint(asked.names)
    if not (levers or has_weights):
        return rows
    if classes.followed:
        raise UsageError(
            f"the texts of {videos.features.name} follow each video, and levers look at texts and "
            "frames by themselves; leave out --lever"
        )
    for given in given_scores(videos, classes, scores, settings).values():
        own = levers | (weight_levers(given.kin) if has_weights else {})
        for name, lever in own.items():
            rows += _rows(name, lever, given, settings, setup)
    return rows


def _rows(
    name: str, lever: Lever, given: Given, settings: Scoring, setup: Setup
) -> list[ResultRow]:
    start = time.perf_counter()
    lifted = lever.score(given)
    facts = {**lifted.facts, "seconds": round(time.perf_counter() - start, 3)}
    if (encoded := settings.levers.encode_seconds.get(name)) is not None:
        facts |= {"encode_seconds": encoded, "seconds": round(facts["seconds"] + encoded, 3)}
    if lever.is_transductive:
        facts["transductive"] = True
    if lifted.is_tuned and given.validation is not None:
        facts |= tuned_facts(given, given.validation, is_ensemble="ensemble" in lever.needs)
    lever_setup = replace(setup, lever=name, extra={**setup.extra, "lifted": facts})
    sets = (given, *given.others) if "ensemble" in lever.needs else (given,)
    claim = joined_claims([claim_of(one.videos) for one in sets])
    scores = {given.fusion: lifted.scores}
    rows = scored_rows(given.videos, scores, settings, lever_setup, claim=claim)
    difference = _difference(rows[0], given, lifted.scores, settings)
    if lever.keeps_answers and difference.value == 0:
        # Not only of these videos: there is nothing to be unsure of.
        difference = replace(difference, ci_low=0.0, ci_high=0.0)
    return [*rows, difference]


def tuned_facts(given: Given, known: Given, *, is_ensemble: bool) -> dict[str, object]:
    """Entries of `lifted` on what labels were looked at, and whether a checkpoint was tuned on
    these videos, so that what is chosen on them is chosen on too good scores; and how many of them
    are other stretches of files that are scored."""
    held_out = known.videos
    told: dict[str, object] = {"tuned_on": f"{held_out.dataset.name}/{held_out.split}"}
    sets = (known, *known.others) if is_ensemble else (known,)
    if seen := joined_claims([claim_of(one.videos) for one in sets]).shared_videos:
        told["seen_in_training"] = seen
    if len(others := neighbours_between(given.videos, held_out)):
        told["stretches_of_scored_files"] = len(others)
    return told


def _difference(top1: ResultRow, given: Given, scores: np.ndarray, settings: Scoring) -> ResultRow:
    """How much more often the lever is right than the plain score, as a row."""
    lifted, plain = (is_right(found, given.videos.labels) for found in (scores, given.scores))
    drawn = {"seed": settings.bootstrap_seed, "files": given.videos.files}
    compared = paired_bootstrap(lifted, plain, **drawn)
    return replace(
        top1,
        metric=MINUS_PLAIN,
        value=compared.difference,
        ci_low=compared.low,
        ci_high=compared.high,
        provenance=top1.provenance | {"against": "plain", "p_value": compared.p_value},
    )
