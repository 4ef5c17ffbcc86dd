"""`vifi info S`: what a store holds."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from vifi.artefacts import quarantined_videos
from vifi.console import parse, print_json, say
from vifistore.store import open_store
from vifistore.store.info import describe_store, lineage


@dataclass(frozen=True, kw_only=True)
class InfoArguments:
    """Print what a store holds."""

    store: tyro.conf.Positional[Path]
    """Path of the store."""
    json: bool = False
    """Print one JSON document."""
    quarantine: bool = False
    """List the quarantined videos and why."""
    lineage: bool = False
    """Print the checkpoints as a tree: what each was trained from, and at which step."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("info", InfoArguments, arguments)
    store = open_store(wanted.store)
    if wanted.lineage:
        return _print_lineage(lineage(store), json=wanted.json)
    listed = wanted.quarantine
    document = quarantined_videos(store, store.datasets()) if listed else describe_store(store)
    if wanted.json:
        print_json(document)
    elif wanted.quarantine:
        _print_quarantine(document)
    else:
        _print_summary(document)
    return 0


def _print_lineage(checkpoints: list[dict], *, json: bool) -> int:
    if json:
        print_json({"checkpoints": checkpoints})
        return 0
    for checkpoint in checkpoints:
        is_lost = checkpoint["parent"] and not checkpoint["depth"]
        lost = f", from {checkpoint['parent']}, which is not here" if is_lost else ""
        names = ", ".join(checkpoint["names"])
        indent = "  " * checkpoint["depth"]
        say(f"{indent}{checkpoint['digest']} ({names}): step {checkpoint['step']}{lost}")
    return 0


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
        say(f"checkpoint {checkpoint['digest']} ({names}): step {checkpoint['step']}{parent}")
    for texts in document["texts"]:
        say(f"texts {texts['id']}: {texts['classes']} classes, {', '.join(texts['templates'])}")
