"""`vifi VERB ...`: finds the verb, runs it, and ends every user error in one line.

Exit codes: 0 all done; 1 failed; 2 wrong use; 3 done, but some videos are quarantined.
"""

import importlib
import os
import signal
import sys

# Before torch is imported: a thread of its that waits sleeps instead of spinning. Beside decode
# workers, or anything else on a busy machine, spinning made training 3 to 7 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from vifi.console import print_error, start_logging
from vifistore.errors import UnknownNameError, VifiError

# Verb -> what it does. Each lives in vifi/<verb>.py, imported only when it is called, so that
# --help and the verbs that need no model start fast.
VERBS = {
    "demo": "the whole line on a small generated data set",
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
    "search": "find videos, or moments in them, by words, by a video or by a picture",
    "index": "build a search index, and say what it loses and gains",
    "serve": "a local page to search and watch a store's videos",
    "tsne": "draw feature sets side by side in two dimensions",
    "attention": "draw what checkpoints look at in videos",
    "report": "tables, figures and a page from a results folder",
    "export-results": "write result rows as CLIP_benchmark's files",
    "name": "give a feature set a name",
    "export": "write a feature set as files of other tools",
    "import": "bring in embeddings made elsewhere, or exported",
    "bench": "measure kernels, decoding, encoding and the pipeline on this machine",
}

# Verbs whose module has another name.
_MODULES = {
    "import": "vifi.import_",
    "export-results": "vifi.export_results",
    "train-head": "vifi.train_head",
    "bench": "vifi.bench.verb",
    "demo": "vifi.demo.verb",
}


def usage() -> str:
    """Return the text of `vifi --help`."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "usage: vifi VERB ...     (vifi VERB --help explains its arguments)",
            "",
            "Encode every video once per checkpoint; answer every question from the cache.",
            "",
            *lines,
        ]
    )


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    verb, *rest = arguments
    start_logging()
    try:
        if verb not in VERBS:
            raise UnknownNameError("verb", verb, VERBS, "See vifi --help.")
        return importlib.import_module(_MODULES.get(verb, f"vifi.{verb}")).main(rest)
    except VifiError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of a pipe (`vifi info S | head`) went away; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full, read-only or broken disk, or a file that may not be read.
        print_error(f"{error}; mend that and run the same command again")
        return 1
    except KeyboardInterrupt:
        print_error("stopped; run the same command again to go on from here")
        return 128 + signal.SIGINT


def main() -> None:
    """Entry point of the `vifi` program."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
