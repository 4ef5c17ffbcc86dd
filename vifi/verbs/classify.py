"""`vifi classify`: what is in videos, by labels of one's own: of a store, or of files in none."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from vifi.classifying.classify_arguments import ClassifyArguments, LooseSettings, note_faults
from vifi.command_line.choices import choose_dataset, choose_features
from vifi.command_line.console import is_given, parse, print_json, say
from vifi.command_line.template_sets import expand
from vifistore.errors import Faults, UsageError, first_few, shell
from vifistore.extract.extract_settings import ExtractSettings

if TYPE_CHECKING:
    from harness.labelling import LabelShares
    from vifistore.store.features import Features

logger = logging.getLogger("vifi")


class _LooseExtraction(ExtractSettings):
    """Whose messages call flags as this verb does."""

    frames_flag = LooseSettings.frames_flag


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code: 3 where a video is quarantined."""
    found = Faults()
    wanted = parse("classify", ClassifyArguments, arguments, faults=found)
    found.refuse()
    told = "--labels is empty; give labels between commas or a file, or leave it out"
    found.check(bool(wanted.labels) or not is_given("--labels", arguments), told)
    labels = note_faults(found, wanted)
    found.refuse()

    from harness.labelling import check_labels

    if wanted.labels:
        check_labels(labels)
    with _features_of(wanted) as features:
        labels = labels or features.dataset.class_names()
        _require_classes(features, labels)
        answers = _answers(features, labels, wanted)
        _print(answers, features, labels, wanted)
        return _tell_others(answers, features, wanted)


@contextlib.contextmanager
def _features_of(wanted: ClassifyArguments) -> "Iterator[Features]":
    """The feature set that is asked: of the store, or of files, while the context lasts."""
    if not wanted.model:
        from vifistore.store import open_store

        (source,) = wanted.sources
        store = open_store(source)
        dataset = store.dataset(choose_dataset(store, wanted.dataset))
        (features,) = choose_features(dataset, (wanted.features,) if wanted.features else ())
        yield features
        return

    from vifi.classifying.loose_videos import encoded_videos, list_videos

    named = {each.name: getattr(wanted.settings, each.name) for each in fields(wanted.settings)}
    named["template"] = expand(wanted.settings.template)
    settings = _LooseExtraction(
        **named, model=wanted.model, pretrained=wanted.pretrained, weights=wanted.weights
    )
    with encoded_videos(list_videos(wanted.sources), settings) as features:
        yield features


def _require_classes(features: "Features", labels: Sequence[str]) -> None:
    """Raise UsageError for a dataset whose own classes are none to choose from."""
    from harness.labelling import check_labels

    if not labels:
        raise UsageError(
            f"no video of {features.dataset.name} has a label, so there are no classes to choose "
            "from; give --labels a,b,c or a file of them"
        )
    check_labels(labels)


def _answers(
    features: "Features", labels: Sequence[str], wanted: ClassifyArguments
) -> "list[LabelShares]":
    from harness.labelling import label_videos
    from vifi.classifying.label_texts import label_classes

    prompts = (expand(wanted.settings.template), wanted.settings.class_names)
    classes = label_classes(features, labels, *prompts)
    return label_videos(features, classes, labels, wanted.top, moments=wanted.moments)


def _print(
    answers: "list[LabelShares]", features: "Features", labels: list[str], wanted: ClassifyArguments
) -> None:
    from vifi.classifying.answer_writing import to_csv_text, to_documents, to_lines

    if wanted.json or wanted.format == "json":
        head = {"dataset": features.dataset.name, "features": features.name}
        if wanted.model:
            head = {"dataset": None, "features": features.name}
        print_json(
            {**head, "labels": labels, "videos": to_documents(answers, moments=wanted.moments)}
        )
    elif wanted.format == "csv":
        top = min(wanted.top, len(labels))
        print(to_csv_text(answers, top, moments=wanted.moments), end="", flush=True)
    else:
        for line in to_lines(answers, moments=wanted.moments):
            say(line)


def _tell_others(
    answers: "list[LabelShares]", features: "Features", wanted: ClassifyArguments
) -> int:
    """Say which videos have no answer, and return the exit code."""
    bad = [line.id for line in answers if line.state == "quarantined"]
    todo = sum(line.state == "to do" for line in answers)
    if bad:
        remedy = "mend or convert the files"
        if not wanted.model:
            remedy = f"see why with: {shell('vifi', 'info', features.store.path, '--quarantine')}"
        logger.warning("%d videos cannot be decoded (%s); %s", len(bad), first_few(bad), remedy)
    if todo:
        again = shell("vifi", "extract", features.store.path, "--dataset", features.dataset.name)
        logger.warning("%d videos are not encoded yet; go on with: %s ...", todo, again)
    return 3 if bad else 0
