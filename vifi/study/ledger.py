"""What of a study is done: a file a step, written once the step is whole.

A step is known by a digest of its commands, of the files that these read, and of the digests of
the steps that it needs: whatever changes is done again, and what follows from it.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from vifi.study.steps import REPORT, Step, file_name
from vifi.study.words import RUNS
from vifistore.errors import UsageError
from vifistore.files import read_json_object, read_regular
from vifistore.store.key_value.durable import put_file

FOLDER = "steps"
"""Of a study: what of it is done."""
# A larger file is known by its size and its time.
_MOST_READ = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A step that is done."""

    digest: str
    seconds: float
    ended: str
    """When, UTC, to the microsecond: what is later compares as greater."""
    remark: str = ""


class Ledger:
    """The steps of the study in a folder."""

    def __init__(self, out: Path) -> None:
        self._folder = out / FOLDER

    def path(self, step: Step, suffix: str) -> Path:
        """A file of the step."""
        return self._path(step.name, suffix)

    def _path(self, name: str, suffix: str) -> Path:
        return self._folder / f"{file_name(name)}{suffix}"

    def entry(self, name: str) -> Entry | None:
        """What was noted of a step when it was done last, whatever its digest was."""
        path = self._path(name, ".json")
        try:
            return Entry(**read_json_object(path))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path} is not what was written there; remove it") from error

    def is_done(self, step: Step, digest: str) -> bool:
        """Whether the step is done as it is now, and what it made is there.

        The page shows whatever is answered, and is done where nothing was answered after it, and
        the files that say how are as they were.
        """
        entry = self.entry(step.name)
        if entry is None or _is_lost(step) or entry.digest != digest:
            return False
        if step.name != REPORT:
            return True
        answered = (need for need in map(self.entry, step.needs) if need)
        return not any(need.ended > entry.ended for need in answered)

    def forget_lost(self, steps: Iterable[Step]) -> None:
        """Take back that steps are done of which what they made is gone: once another step has
        made the store or the file of the rows anew, they would count as done."""
        for step in filter(_is_lost, steps):
            self.path(step, ".json").unlink(missing_ok=True)

    def note(self, step: Step, entry: Entry) -> None:
        """Say that the step is done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        put_file(self.path(step, ".json"), json.dumps(asdict(entry), indent=2).encode())


def _is_lost(step: Step) -> bool:
    """Whether something is not there that the step makes."""
    return not all(Path(path).exists() for path in step.makes)


def digests(steps: Iterable[Step], out: Path) -> dict[str, str]:
    """The digest of each step by its name; `steps` as they are ordered.

    That of the page is one of the study's files alone: which questions were asked for is none of
    what it is known by.
    """
    found: dict[str, str] = {}
    for step in steps:
        words = [word for command in step.commands for word in command]
        told = {
            "commands": step.commands,
            "files": [_file(word, out) for word in words],
            "needs": [found[name] for name in step.needs],
        }
        if step.name == REPORT:
            told = {"files": [_content(Path(path)) for path in step.reads]}
        found[step.name] = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    return found


def _file(word: str, out: Path) -> str:
    """What a word of a command says of a file that is not of the study's own making."""
    if word.startswith("--"):
        word = word.partition("=")[2]
    path = Path(word)
    # The folder of the study may be this one, where other files lie as well.
    is_own = word.startswith(f"{out}/") or path.is_relative_to(out / RUNS)
    return "" if len(word) > 1000 or is_own or not path.is_file() else _content(path)


def _content(path: Path) -> str:
    state = path.stat()
    if state.st_size > _MOST_READ:
        return f"{state.st_size} {state.st_mtime_ns}"
    return hashlib.sha256(read_regular(path)).hexdigest()
