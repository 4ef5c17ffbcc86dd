"""`vifi VERB ...`: finds the verb, runs it, and ends every user error in one line.

Exit codes: 0 all done; 1 failed; 2 wrong use; 3 done, but some videos are quarantined.
"""

import importlib
import io
import os
import sys
from importlib.metadata import version
from typing import TextIO

# Before torch is imported: a thread of its that waits sleeps instead of spinning. Beside decode
# workers, or anything else on a busy machine, spinning made training 3 to 7 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from vifi.command_line.endings import (
    STOPPED,
    end_on_sigterm,
    exit_code,
    is_near_limit,
    print_error,
    quiet_threads,
    shortage,
)

# Verb -> what it does. Each lives in vifi/verbs/<verb>.py, imported only when it is called, so that
# --help and the verbs that need no model start fast.
VERBS = {
    "demo": "the whole line on a small generated data set",
    "study": "a whole study by one file: train, encode, score and report",
    "scan": "add the videos of a folder, a list or a dataset's own files to a store",
    "relocate": "say where a dataset's videos are now",
    "extract": "encode a dataset's videos with a checkpoint",
    "watch": "extract every checkpoint of a folder as it appears",
    "convert": "rewrite a checkpoint file for OpenCLIP, or for vifi",
    "texts": "encode class names with a checkpoint's text tower",
    "train": "fine-tune a model on a dataset's videos",
    "train-head": "train a pooling on cached frames, or apply a trained one",
    "info": "what a store holds",
    "verify": "check every byte of a store",
    "gc": "list or remove what nothing names",
    "rm": "remove datasets, splits, feature sets, texts or names",
    "evaluate": "score cached features by one of the paper's protocols",
    "ablate": "score cached features under every fusion",
    "classify": "what is in videos, by labels of your own",
    "search": "find videos, or moments in them, by words, by a video or by a picture",
    "index": "build a search index, and say what it loses and gains",
    "serve": "a local page to search and watch a store's videos",
    "tsne": "draw feature sets side by side in two dimensions",
    "attention": "draw what checkpoints look at in videos",
    "report": "tables, figures and a page from a results folder",
    "compare": "how far two systems, runs or studies lie apart, and in which classes",
    "results": "the numbers of a results folder, chosen by conditions",
    "export-results": "write result rows as CLIP_benchmark's files",
    "name": "give a feature set a name",
    "export": "write a feature set as files of other tools",
    "import": "bring in embeddings made elsewhere, or exported",
    "bench": "measure kernels, decoding, encoding and the pipeline on this machine",
}

PRINT_COMPLETION = "--print-completion"

# Verbs whose module has another name.
_MODULES = {
    "import": "vifi.verbs.import_",
    "export-results": "vifi.verbs.export_results",
    "train-head": "vifi.verbs.train_head",
    "bench": "vifi.bench.verb",
    "demo": "vifi.demo.verb",
    "study": "vifi.study.verb",
}


def module_of(verb: str) -> str:
    """Name of the module that runs a verb."""
    return _MODULES.get(verb, f"vifi.verbs.{verb}")


def usage() -> str:
    """Return the text of `vifi --help`."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "usage: vifi VERB ...     (vifi VERB --help explains its arguments; vifi --version)",
            "",
            "Encode every video once per checkpoint; answer every question from the cache.",
            "",
            *lines,
            "",
            "Ends with 0: all done; 1: failed; 2: wrong call; 3: done, some videos quarantined.",
        ]
    )


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    code = 0 if arguments else 2
    try:
        try:
            code = _ended(arguments)
        finally:
            # Else what is held back would meet a reader that went away while Python ends.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe (`vifi info S | head`) went away; that is no failure of ours.
        _discard(sys.stdout)
    return code


def _ended(arguments: list[str]) -> int:
    """The exit code, also of a command that is stopped or runs out of memory."""
    try:
        return _run(arguments)
    except Exception as error:
        # Of any kind: Python itself raises SystemError where it has no room for a MemoryError.
        if not (said := shortage(error)):
            raise
        return _fail(said, 1)
    except KeyboardInterrupt as stop:
        # Where it came while a text was executed, as for a dataclass, Python remembers that until
        # the next one is, and would end by SIGINT instead of with our exit code.
        exec("")
        return _fail(STOPPED, exit_code(stop))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb == "--version":
        print(f"vifistore {version('vifistore')}")
        return 0

    # A third of a second: what comes before it must be able to end in order, too.
    from vifi.command_line.console import start_logging
    from vifistore.errors import UnknownNameError, VifiError

    start_logging()
    try:
        if verb == PRINT_COMPLETION:
            return importlib.import_module("vifi.command_line.completion").main(rest)
        if verb not in VERBS:
            raise UnknownNameError("verb", verb, VERBS, "See vifi --help.")
        return importlib.import_module(module_of(verb)).main(rest)
    except VifiError as error:
        return _fail(error, error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        # A full, read-only or broken disk, or a file that may not be read.
        return _fail(f"{error}; mend that and run the same command again", 1)


def _fail(error: object, code: int) -> int:
    """Print why a call failed, whether or not anyone reads it, and return its exit code."""
    try:
        print_error(error)
    except BrokenPipeError:
        _discard(sys.stderr)
    return code


def _discard(stream: TextIO) -> None:
    """Send what is still to be written to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Entry point of the `vifi` program."""
    end_on_sigterm()
    quiet_threads()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # In a locale without UTF-8 a letter that cannot be written shall end no command.
        sys.stdout.reconfigure(errors="replace")
    code = run(sys.argv[1:])
    if code and is_near_limit():
        # Libraries that found no room may crash as they are unloaded, and hide our exit code.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
