"""What verbs share: parsing into a dataclass, printing, errors as one line."""

import contextlib
import io
import json
import logging
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import TypeVar

import tyro

from vifi.command_line.help import help_registry
from vifistore.errors import Faults, UsageError
from vifistore.short_numbers import in_short

logger = logging.getLogger("vifi")

Arguments = TypeVar("Arguments")

_IS_ALONE: ContextVar[bool] = ContextVar("is_alone", default=False)

# A template holds blanks, and prefixes are long: several are given one by one.
_REPEATABLE = ("--template", "--map-prefix")


# What tyro says of a value that may also be left out; its reasons are Python's.
_NO_OPTION = re.compile(
    r"no type matching \{None\}\|(.+?) could be instantiated from \[(.*)\]\. .*"
)


# What it says of a word that none of a few is.
_NO_CHOICE = re.compile(r"invalid choice '(.*?)' for argument '(.*?)'\. Expected one of \((.*?)\)")


def parse(
    verb: str,
    arguments_class: type[Arguments],
    arguments: list[str],
    default: Arguments | None = None,
    faults: Faults | None = None,
    *,
    is_trial: bool = False,
    repeatable: Sequence[str] = (),
) -> Arguments:
    """Parse a verb's arguments into its frozen dataclass, or over an instance of it; nothing is
    logged of them in a trial. `repeatable` names flags of it that may be given again.

    Raises UsageError with everything tyro has to say, as one line instead of a box, and with all
    values that cannot be; these are added to `faults` instead, where others are to be told as well.
    """
    found = Faults() if faults is None else faults
    with found.gathered():
        if not is_trial:
            _tell_repeated(arguments, (*_REPEATABLE, *repeatable))
        parsed = _parse(verb, arguments_class, arguments, default)
    if faults is None:
        found.refuse()
    if _IS_ALONE.get():
        raise _ParsedError
    return parsed


def check_words(main: Callable[[list[str]], int], words: Sequence[str]) -> None:
    """Have a verb parse its words and do nothing. Raises UsageError as `parse` does."""
    token = _IS_ALONE.set(True)
    try:
        main(list(words))
    except _ParsedError:
        return
    finally:
        _IS_ALONE.reset(token)


class _ParsedError(BaseException):
    """A verb has parsed its words, which is all that was wanted of it."""


def _parse(
    verb: str,
    arguments_class: type[Arguments],
    arguments: list[str],
    default: Arguments | None,
) -> Arguments:
    shared = {
        **{"prog": f"vifi {verb}", "args": arguments, **_looks(arguments)},
        **({} if default is None else {"default": default}),
    }
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(arguments_class, **shared)
    except SystemExit as stop:
        if not stop.code:
            raise
        told = _in_words(said.getvalue(), arguments_class, shared)
        raise UsageError(_one_line(told, verb)) from None


def _in_words(box: str, arguments_class: type, shared: dict) -> str:
    """The same box with the words of help for values, where it names options that are missing."""
    if "Missing" not in box:
        return box
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        tyro.cli(arguments_class, **{**shared, "registry": help_registry()})
    return said.getvalue() or box


def renamed(arguments: list[str], names: Mapping[str, str]) -> list[str]:
    """The words of a call, flags of an earlier version (`--old`) by today's names; says which."""
    words = []
    for word in arguments:
        flag, equals, value = word.partition("=")
        if new := names.get(flag.replace("_", "-")):
            logger.info("%s is called %s now", flag, new)
            word = f"{new}{equals}{value}"
        words.append(word)
    return words


def is_given(flag: str, arguments: Sequence[str]) -> bool:
    """Whether a flag is among the words of a call."""
    return flag in (word.split("=")[0].replace("_", "-") for word in arguments)


def _looks(arguments: list[str]) -> dict:
    """How tyro names things; help shows of a boolean only the form that changes its default."""
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.PositionalMetavarFromFieldName)
    if not set(arguments) & {"-h", "--help"}:
        return {"config": config}
    return {"config": (*config, tyro.conf.FlagCreatePairsOff), "registry": help_registry()}


def _tell_repeated(arguments: list[str], repeatable: Sequence[str]) -> None:
    """Say which flags are given again: the last one counts, as in `vifi train $COMMON ...`."""
    flags = Counter(
        word.split("=")[0].replace("_", "-") for word in arguments if word.startswith("--")
    )
    for flag in (f for f, count in flags.items() if count > 1 and f not in repeatable):
        logger.info("%s is given more than once; the last one counts", flag)


def _one_line(box: str, verb: str) -> str:
    """What a box of tyro's says: its sections joined, without the help texts it repeats."""
    # A title and a last line frame it. Where the terminal cannot show box characters, tyro draws
    # blanks and hyphens, and a rule under the title.
    lines = [line[2:].rstrip("│ ") for line in box.splitlines()[1:-1]]
    said: list[str] = []
    for section in re.split(r"^[─-]{3,}$", "\n".join(lines), flags=re.MULTILINE):
        kept = [line for line in section.splitlines() if line.strip()]
        if not kept or kept[0].strip().startswith(("For full", "Argument help")):
            continue
        # Names stand at four spaces, their help texts deeper.
        names = [line.strip() for line in kept if line.startswith("    ") and line[4] != " "]
        words = [line.strip() for line in kept if not line.startswith(" ")]
        told = " ".join([*words, ", ".join(names)]).strip().rstrip(".")
        said.append(_NO_CHOICE.sub(_choices, _NO_OPTION.sub(r"\2 is no \1", told)))
    return f"{'; '.join(said)}; see vifi {verb} --help"


def _choices(told: re.Match) -> str:
    given, argument, choices = told.groups()
    return f"{argument} is {given!r}; give one of {choices.replace(chr(39), '').rstrip(',')}"


def start_logging() -> None:
    """Send our log to standard error, so that standard output stays clean for --json."""
    logger = logging.getLogger("vifi")
    if not logger.handlers:
        logger.addHandler(_StandardError())
        logger.setLevel(logging.INFO)
        logger.propagate = False
    for handler in logger.handlers:
        if isinstance(handler, _StandardError):
            handler.said.clear()


class _StandardError(logging.Handler):
    """Writes to whatever standard error is at that moment; of a command's lines that are marked
    `once`, as what loads a model twice says them twice, each the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = _steering_nothing(self.format(record))
        if getattr(record, "once", False):
            if text in self.said:
                return
            self.said.add(text)
        print(text, file=sys.stderr)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    told = in_short(document)
    text = json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        # Letters that the output has no bytes for, as of a file's name that is no UTF-8.
        text = json.dumps(told, indent=2, allow_nan=False)
    print(text)


def say(text: str) -> None:
    """Print one line, or a table, for the reader, on standard output.

    Names in it come from files that anybody may have written: none steers the terminal.
    """
    print(_steering_nothing(text), flush=True)


def printable(text: str) -> str:
    """A name as a line may have it: signs that would steer a terminal, or begin a line of their
    own, are shown as a question mark."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _steering_nothing(text: str) -> str:
    """The same of a whole text, whose lines and columns stay."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)
