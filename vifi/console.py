"""What verbs share: parsing into a dataclass, printing, errors as one line."""

import contextlib
import io
import json
import logging
import sys
from typing import TypeVar

import tyro

from vifistore.errors import UsageError

Arguments = TypeVar("Arguments")

_BOX = str.maketrans(dict.fromkeys("╭╮╰╯│─", " "))


def parse(verb: str, arguments_class: type[Arguments], arguments: list[str]) -> Arguments:
    """Parse a verb's arguments into its frozen dataclass.

    Raises UsageError with everything tyro has to say, as one line instead of a box.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                arguments_class,
                prog=f"vifi {verb}",
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(_one_line(said.getvalue(), verb)) from None


def _one_line(text: str, verb: str) -> str:
    lines = [line.translate(_BOX).strip() for line in text.splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith("For full help"))
    return f"{said.removeprefix('Parsing error').strip()}; see vifi {verb} --help"


def start_logging() -> None:
    """Send our log to standard error, so that standard output stays clean for --json."""
    logger = logging.getLogger("vifi")
    if not logger.handlers:
        logger.addHandler(_StandardError())
        logger.setLevel(logging.INFO)
        logger.propagate = False


class _StandardError(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def print_error(error: object) -> None:
    """Print an error as one line on standard error."""
    print(f"vifi: {' '.join(str(error).split())}", file=sys.stderr)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def say(text: str) -> None:
    """Print one line for the reader, on standard output."""
    print(text, flush=True)
