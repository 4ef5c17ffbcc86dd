"""The follower of a run: another process that extracts each checkpoint while training goes on."""

import contextlib
import ctypes
import logging
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import Faults, IncompleteError, shell
from vifistore.extract.ranks import without_rank
from vifistore.training.options import RunOptions, default_readers

logger = logging.getLogger("vifi")

# Opened here: between fork and exec, with the threads of torch around, little is safe.
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
# By how much the follower gives way on the processor.
_NICENESS = 5
# Of `vifi watch`: all is extracted, and some videos are quarantined.
_GOOD_ENDS = (0, 3)


@dataclass(frozen=True, kw_only=True)
class FollowOptions:
    """Extraction of checkpoints while training goes on."""

    extract_every: str = ""
    """Extract checkpoints as they are written: `checkpoint` takes each, a number N writes one
    every N steps. A process of its own does it; stopping either one loses nothing."""
    extract_dataset: str = ""
    """Dataset to extract; empty takes the one trained on."""
    extract_with: str = ""
    """Further arguments of `vifi watch`: --extract-with="--frames 16 --device cuda:1"."""

    def __post_init__(self) -> None:
        faults = Faults()
        message = f"--extract-every is {self.extract_every!r}; give checkpoint or a number of steps"
        faults.check(self.extract_every in ("", "checkpoint") or self.num_steps > 0, message)
        message = "--extract-dataset and --extract-with need --extract-every checkpoint"
        is_asked = bool(self.extract_dataset or self.extract_with)
        faults.check(bool(self.extract_every) or not is_asked, message)
        try:
            shlex.split(self.extract_with)
        except ValueError as error:
            message = f"--extract-with is {self.extract_with!r} ({error}); close what is open in it"
            faults.check(False, message)
        faults.refuse()

    @property
    def num_steps(self) -> int:
        """Steps between checkpoints, 0 if that is not said here."""
        return int(self.extract_every) if self.extract_every.isdecimal() else 0


def _shared_flags(run: RunOptions) -> dict[str, str]:
    """What `vifi watch` takes from the run whose checkpoints it extracts.

    Frames, preprocessing and prompts it finds in their headers.
    """
    # As many decoding processes again would take the cores from those of the run.
    workers = (run.workers or default_readers(on_gpu=False)) // 2
    flags = {
        "--device": run.device,
        "--decoder": run.decoder,
        "--timeout": f"{run.timeout:g}",
        "--workers": str(max(1, workers)),
    }
    if run.frame_cache:
        flags |= {"--frame-cache": str(run.frame_cache)}
        flags |= {"--frame-cache-gb": f"{run.frame_cache_gb:g}"}
    return flags


@contextlib.contextmanager
def follower(
    options: FollowOptions,
    folder: Path,
    store: str,
    dataset: str,
    run: RunOptions | None = None,
) -> Iterator[None]:
    """Run `vifi watch` beside the body, if it is wanted, and wait for its end.

    It computes as `run` does where `options` do not say otherwise. It ends with this process,
    however that ends: what it had finished is in the store, and the next one goes on from there.
    Raises IncompleteError if it fails.
    """
    if not options.extract_every:
        yield
        return
    words = watch_arguments(options, folder, store, dataset, run)
    process = _start(folder, words)
    try:
        yield
    except BaseException:
        process.terminate()
        process.wait()
        raise
    logger.info("waiting for the last checkpoints to be extracted")
    status = process.wait()
    if status not in _GOOD_ENDS:
        raise IncompleteError(
            f"the follower ended with {status}; training is done, extract what is missing with: "
            f"{shell('vifi', 'watch', *words, '--once')}"
        )


def watch_arguments(
    options: FollowOptions, folder: Path, store: str, dataset: str, run: RunOptions | None = None
) -> list[str]:
    """What `vifi watch` is called with, but for how long."""
    shared = _shared_flags(run) if run else {}
    own = shlex.split(options.extract_with)
    given = {word.partition("=")[0].replace("_", "-") for word in own if word.startswith("--")}
    taken = [word for pair in shared.items() if pair[0] not in given for word in pair]
    return [str(folder), store, "--dataset", options.extract_dataset or dataset, *own, *taken]


def _start(folder: Path, words: list[str]) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    arguments = ["watch", *words, "--until-done", "--trainer", str(os.getpid())]
    command = [sys.executable, "-m", "vifi", *arguments]
    logger.info("following: vifi %s", shell(*arguments))
    # Standard output is the trainer's, which may print a JSON document there.
    return subprocess.Popen(
        command,
        env=without_rank(os.environ),
        stdout=sys.__stderr__,
        preexec_fn=_end_with_parent,
    )


def _end_with_parent() -> None:
    """Give way to the trainer, and end with it.

    Linux ends the follower when the trainer is killed; elsewhere it notices by itself.
    """
    os.nice(_NICENESS)
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
