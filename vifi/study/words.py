"""Words of the commands of a study that several kinds of steps share."""

from dataclasses import dataclass
from pathlib import Path

from vifi.study.study_parts import Flags, Study, StudySystem

Command = tuple[str, ...]
RUNS = "runs"
"""Folder of a study that its trainings write into."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a study lies."""

    out: Path
    study: str = ""
    """The file that says it, where the report reads it too."""
    on: str = ""
    """Cluster that extracts; empty for this machine."""

    @property
    def store(self) -> str:
        """Of all of its datasets."""
        return str(self.out / "store.zarr")

    @property
    def frames(self) -> str:
        """The frame cache that trainings and extractions share."""
        return str(self.out / "frames")

    def run(self, system: StudySystem) -> str:
        """What the training of a system writes: a folder, or the file of a head."""
        ending = ".safetensors" if system.head else ""
        return str(self.out / RUNS / f"{system.name}{ending}")


def flag_words(flags: Flags) -> Command:
    """Flags of a study as words of a command: true is the flag alone, false its opposite, and a
    list its values behind it. A value that looks like a flag is joined to its own."""
    words: list[str] = []
    for name, value in flags.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif str(value).startswith("-"):
            words.append(f"--{name}={value}")
        else:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *map(str, values)]
    return tuple(words)


def on_cluster(command: Command, on: str) -> Command:
    """An extraction on a cluster where one is named; all else is done here."""
    return (*command, "--on", on) if on and command[0] == "extract" else command


def makers_of(study: Study, system: StudySystem) -> tuple[str, ...]:
    """The step that makes the weights of a system, if one does."""
    of = study.systems[system.start] if system.weights else system
    return (f"train {of.name}",) if of.is_trained else ()


def weights_of(study: Study, places: Places, system: StudySystem) -> Command:
    """Flags that name a checkpoint."""
    model, of = system.model, system
    while not model:
        of = study.systems[of.start]
        model = of.model
    weights = places.run(system) if system.preset else system.pretrained
    if system.weights:
        weights = f"{places.run(study.systems[system.start])}/{system.weights}"
    return ("--model", model, "--pretrained", weights)
