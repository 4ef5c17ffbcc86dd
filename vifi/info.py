"""`vifi info S`: what a store holds."""

from dataclasses import dataclass

import tyro

from vifi.console import parse, print_json, say
from vifistore.store import open_store
from vifistore.store.info import derived_lineage, describe_store, lineage
from vifistore.store.store import Store


@dataclass(frozen=True, kw_only=True)
class InfoArguments:
    """Print what a store holds."""

    store: tyro.conf.Positional[str]
    """Path of the store, or its URL: s3://bucket/S.zarr."""
    json: bool = False
    """Print one JSON document."""
    quarantine: bool = False
    """List the quarantined videos and why."""
    lineage: bool = False
    """Print the checkpoints as a tree: what each was trained from, at which step and how; and of
    which feature set each derived one was made."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("info", InfoArguments, arguments)
    store = open_store(wanted.store)
    if wanted.lineage:
        return _print_lineage(lineage(store), derived_lineage(store), json=wanted.json)
    document = _quarantined(store) if wanted.quarantine else describe_store(store)
    if wanted.json:
        print_json(document)
    elif wanted.quarantine:
        _print_quarantine(document)
    else:
        _print_summary(document)
    return 0


def _quarantined(store: Store) -> list[dict]:
    # It brings in pandas, which takes half a second to import.
    from vifi.artefacts import quarantined_videos

    return quarantined_videos(map(store.dataset, store.datasets()))


def _print_lineage(checkpoints: list[dict], derived: list[dict], *, json: bool) -> int:
    if json:
        print_json({"checkpoints": checkpoints, "features": derived})
        return 0
    for checkpoint in checkpoints:
        is_lost = checkpoint["parent"] and not checkpoint["depth"]
        lost = f", from {checkpoint['parent']}, which is not here" if is_lost else ""
        indent = "  " * checkpoint["depth"]
        said = f"{checkpoint['digest']} ({', '.join(checkpoint['names'])})"
        how = f"; {_settings(checkpoint['settings'])}" if checkpoint["settings"] else ""
        say(f"{indent}{said}: step {checkpoint['step']}{lost}{_training(checkpoint)}{how}")
    for features in derived:
        parent = ", ".join(features["parent_names"]) or features["parent"]
        lost = "" if features["parent_is_here"] else ", which is not here"
        names = ", ".join(features["names"]) or "no name"
        said = f"features {features['dataset']} {features['id']} ({names})"
        say(f"{said}: from {parent}{lost}; {_settings(features['head'] or {})}")
    return 0


def _training(checkpoint: dict) -> str:
    """What a checkpoint was trained on and with, as far as it is known, behind a comma."""
    words = [
        f"tuned on {entry['dataset']}/{entry['split']} ({entry['num_videos']} videos)"
        for entry in checkpoint.get("tuned_on", ())
    ]
    if "sampling" in checkpoint:
        frames = checkpoint["sampling"]["frames"]
        words.append(f"{frames} frame{'s' * (frames != 1)}")
    if "preprocessing" in checkpoint:
        is_assumed = "preprocessing" in checkpoint.get("assumed", ())
        family = checkpoint["preprocessing"]["family"]
        words.append(f"preprocessing {family}{' (assumed)' if is_assumed else ''}")
    if "templates" in checkpoint:
        words.append(f"“{' | '.join(checkpoint['templates'])}”")
    if "cleaning" in checkpoint:
        words.append(f"class names {checkpoint['cleaning']}")
    return "".join(f", {word}" for word in words)


def _settings(settings: dict) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())


def _print_quarantine(found: list[dict]) -> None:
    for entry in found:
        say(
            f"{entry['dataset']} {entry['features']} {entry['path']}: {entry['reason']} "
            f"({entry['message']}; {entry['decoder']}, attempts {entry['attempts']})"
        )
    say(f"{len(found)} quarantined")


def _print_summary(document: dict) -> None:
    for dataset, facts in document["datasets"].items():
        say(f"dataset {dataset}: {facts['videos']} videos, {facts['classes']} classes")
        for name, split in facts["splits"].items():
            say(f"  split {name}: {split['videos']} videos, {split['classes']} classes")
        for features in facts["features"]:
            state = "sealed" if features["sealed"] else f"{features['todo']} to do"
            names = ", ".join(features["names"]) or "no name"
            say(
                f"  features {features['id']} ({names}): {features['done']} done, "
                f"{features['quarantined']} quarantined, {state}"
            )
    for checkpoint in document["checkpoints"]:
        parent = f", from {checkpoint['parent']}" if checkpoint["parent"] else ""
        names = ", ".join(checkpoint["names"])
        said = f"checkpoint {checkpoint['digest']} ({names}): step {checkpoint['step']}{parent}"
        say(f"{said}{_training(checkpoint)}")
    for texts in document["texts"]:
        say(f"texts {texts['id']}: {texts['classes']} classes, {', '.join(texts['templates'])}")
