"""`vifi info S --lineage`: checkpoints as a tree, and how each differs from its parent."""

from collections.abc import Mapping
from dataclasses import asdict

from vifi.command_line.console import print_json, printable, say
from vifistore.training.training_settings import TrainSettings

# What a checkpoint knows of its training, beside its settings.
_TRAINING = ("tuned_on", "sampling", "preprocessing", "templates", "cleaning")
# Settings that say the same as what it knows.
_TOLD_BY = {
    "num_frames": "sampling",
    "preprocess": "preprocessing",
    "template": "templates",
    "further_templates": "templates",
    "class_names": "cleaning",
}


def print_lineage(checkpoints: list[dict], derived: list[dict], *, json: bool) -> int:
    """Print the documents of `vifistore.store.info`, as JSON whole; return the exit code."""
    if json:
        print_json({"checkpoints": checkpoints, "features": derived})
        return 0
    known = {name: c for c in checkpoints for name in (*c["names"], c["digest"])}
    for checkpoint in checkpoints:
        parent = known.get(checkpoint["parent"], {})
        is_lost = checkpoint["parent"] and not parent
        lost = f", from {checkpoint['parent']}, which is not here" if is_lost else ""
        said = f"{checkpoint['digest']} ({', '.join(checkpoint['names'])})"
        training = training_of(_differing(checkpoint, parent))
        indent = "  " * checkpoint["depth"]
        settings = _settings(_differing_settings(checkpoint, parent))
        how = f"; {settings}" if settings else ""
        say(printable(f"{indent}{said}: {step_of(checkpoint)}{lost}{training}{how}"))
    for features in derived:
        parent = ", ".join(features["parent_names"]) or features["parent"]
        lost = "" if features["parent_is_here"] else ", which is not here"
        names = ", ".join(features["names"]) or "no name"
        said = f"features {features['dataset']} {features['id']} ({names})"
        say(printable(f"{said}: from {parent}{lost}; {_settings(features['head'] or {})}"))
    return 0


def step_of(checkpoint: Mapping) -> str:
    """The step of a checkpoint in its own run, and with those of its ancestors."""
    own, every = checkpoint["run_step"], checkpoint["step"]
    return f"step {own}" if own == every else f"step {own} ({every} with its parents')"


def training_of(checkpoint: Mapping) -> str:
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


def _differing(checkpoint: Mapping, parent: Mapping) -> dict:
    """A checkpoint without what its parent was trained with, too."""
    same = {key for key in _TRAINING if key in parent and parent[key] == checkpoint.get(key)}
    return {key: value for key, value in checkpoint.items() if key not in same}


def _differing_settings(checkpoint: Mapping, parent: Mapping) -> dict:
    """Settings other than the parent's, but for those that are told as what it was trained with;
    what the parent does not say is as by default."""
    # As they come out of JSON, which knows no tuples.
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(TrainSettings()).items()}
    before = {**plain, "kind": "trained", **(parent.get("settings") or {})}
    settings = checkpoint["settings"] or {}
    left = {key: value for key, value in settings.items() if _TOLD_BY.get(key) not in checkpoint}
    return {key: value for key, value in left.items() if before.get(key) != value}


def _settings(settings: Mapping) -> str:
    return ", ".join(f"{key} {value}" for key, value in settings.items())
