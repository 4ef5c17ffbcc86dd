"""`vifi info S`: what a store holds."""

from dataclasses import dataclass

from vifi.command_line.console import parse, print_json, printable, say
from vifi.command_line.shared_arguments import PrintArguments, StoreArguments
from vifi.verbs.lineage import print_lineage, step_of, training_of
from vifistore.errors import UsageError, first_few, shell
from vifistore.natural_order import natural_order
from vifistore.store import open_store
from vifistore.store.features import Features
from vifistore.store.info import (
    FeatureSize,
    derived_lineage,
    describe_store,
    describe_texts,
    feature_size,
    lineage,
    made_on,
)
from vifistore.store.recipe import sees_clips
from vifistore.store.store import Store

# Of more sets of texts the summary counts them.
_FEW_TEXTS = 8
_FEW_TEMPLATES = 3


@dataclass(frozen=True, kw_only=True)
class InfoArguments(PrintArguments, StoreArguments):
    """Print what a store holds."""

    quarantine: bool = False
    """List the quarantined videos and why."""
    texts: bool = False
    """List every set of text embeddings, whose they are and under which templates."""
    lineage: bool = False
    """Print the checkpoints as a tree: what each was trained from, at which step, and what differs
    from its parent; and of which feature set each derived one was made. --json has all."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("info", InfoArguments, arguments)
    if wanted.quarantine + wanted.texts + wanted.lineage > 1:
        raise UsageError("--quarantine, --texts and --lineage print one thing each; give one")
    store = open_store(wanted.store)
    if wanted.lineage:
        return print_lineage(lineage(store), derived_lineage(store), json=wanted.json)
    if wanted.texts:
        every = describe_texts(store)
        print_json(every) if wanted.json else _print_texts(store, every)
    elif wanted.quarantine:
        _print_quarantine(_quarantined(store), json=wanted.json)
    elif wanted.json:
        print_json(describe_store(store))
    else:
        _print_summary(store, describe_store(store))
    return 0


def _quarantined(store: Store) -> list[dict]:
    # It brings in pandas, which takes half a second to import.
    from vifi.scoring.store_facts import quarantined_videos

    return [video.as_dict() for video in quarantined_videos(store)]


def _print_quarantine(found: list[dict], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    for entry in found:
        say(
            f"{entry['dataset']} {entry['features']} {printable(entry['path'])}: {entry['reason']} "
            f"({printable(entry['message'])}; {entry['decoder']}, attempts {entry['attempts']})"
        )
    say(f"{len(found)} quarantined")


def _print_summary(store: Store, document: dict) -> None:
    for dataset, facts in document["datasets"].items():
        stretches = _stretches_told(facts.get("stretches"))
        say(f"dataset {dataset}: {facts['videos']} videos{stretches}, {facts['classes']} classes")
        for name, split in facts["splits"].items():
            say(f"  split {name}: {split['videos']} videos, {split['classes']} classes")
        for features in sorted(facts["features"], key=_by_name):
            say(f"  {_features_line(store.features(dataset, features['id']), features)}")
    for checkpoint in sorted(lineage(store), key=_by_name):
        parent = f", from {checkpoint['parent']}" if checkpoint["parent"] else ""
        said = f"checkpoint {checkpoint['digest']} ({', '.join(checkpoint['names'])})"
        say(printable(f"{said}: {step_of(checkpoint)}{parent}{training_of(checkpoint)}"))
    if (count := len(document["texts"])) > _FEW_TEXTS:
        towers = len({texts["text_digest"] for texts in document["texts"]})
        every = shell("vifi", "info", store.path, "--texts")
        say(f"texts: {count:,} sets of {towers:,} text towers; list them with: {every}")
    else:
        _print_texts(store, document["texts"])


def _print_texts(store: Store, every: list[dict]) -> None:
    names = _names_by_texts(store)
    for texts in every:
        of = ", ".join(names.get(texts["text_digest"], ["no checkpoint here"]))
        templates = first_few(texts["templates"], _FEW_TEMPLATES)
        said = f"texts {texts['id']} (of {of}): {texts['classes']} classes, {templates}"
        say(printable(said))


def _stretches_told(facts: dict | None) -> str:
    """How many rows are stretches, where there are any."""
    if not facts or not facts["rows"]:
        return ""
    median = facts["median_seconds"]
    lengths = "" if median is None else f" (median {median:g} s)"
    return f", of them {facts['rows']} stretches of {facts['files']} files{lengths}"


def _by_name(facts: dict) -> tuple:
    """Sorts by names; what has none comes last, by its id."""
    names = [natural_order(name) for name in sorted(facts["names"])]
    return not names, names, facts.get("id", "")


def _names_by_texts(store: Store) -> dict[str, list[str]]:
    """Names of the checkpoints that share a text tower, by its digest."""
    found: dict[str, list[str]] = {}
    for checkpoint in store.checkpoints():
        found.setdefault(checkpoint["text_digest"], []).extend(checkpoint["names"])
    return found


def _features_line(features: Features, facts: dict) -> str:
    names = ", ".join(sorted(facts["names"])) or "no name"
    words = [f"{facts['done']} done", f"{facts['quarantined']} quarantined"]
    words.append("sealed" if facts["sealed"] else f"{facts['todo']} to do")
    if size := feature_size(features):
        views = f"{size.views} views of " if size.views > 1 else ""
        words.append(f"{views}{_frames(features, size)}" if size.frames else f"{views}means alone")
        words += [f"{size.dim} dimensions", f"{size.num_bytes / 1e6:.1f} MB"]
    return f"features {facts['id']} ({names}): {', '.join([*words, *_day(features)])}"


def _frames(features: Features, size: FeatureSize) -> str:
    """Frames of a view, and what an encoder gives of them that sees them together."""
    recipe = features.recipe
    if fps := recipe.get("fps"):
        return f"{fps:g} frames a second, {size.frames} at most"
    if every := recipe.get("every"):
        return f"one frame in {every}, {size.frames} at most"
    if not sees_clips(recipe):
        return f"{size.frames} frames"
    stride = f" {recipe['stride']} apart" if "stride" in recipe else ""
    given = f"{size.frames} embeddings" if size.frames > 1 else "an embedding"
    return f"{recipe['frames']} frames{stride} seen together (kind clip), {given} of them"


def _day(features: Features) -> list[str]:
    day = made_on(features)
    return [f"made on {day}"] if day else []
