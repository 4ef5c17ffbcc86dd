"""`vifi --print-completion bash|zsh|tcsh`: what a shell has to read to complete vifi's words."""

import importlib
from dataclasses import make_dataclass
from types import ModuleType
from typing import Annotated, Any, Union

import tyro

from vifi.__main__ import VERBS, module_of
from vifi.bench.verb import BENCHMARKS
from vifi.command_line.help import help_registry
from vifistore.errors import UnknownNameError
from vifistore.training.presets import PRESETS

SHELLS = ("bash", "zsh", "tcsh")


def main(arguments: list[str]) -> int:
    """Print the script for a shell and exit, as --help does. Raises UsageError for other shells."""
    shell = (arguments or ["bash"])[0]
    if shell not in SHELLS:
        raise UnknownNameError("shell", shell, SHELLS)
    tyro.cli(
        _choice({verb: _arguments(verb) for verb in VERBS}),
        prog="vifi",
        args=["--tyro-print-completion", shell],
        config=(
            tyro.conf.OmitArgPrefixes,
            tyro.conf.OmitSubcommandPrefixes,
            tyro.conf.FlagCreatePairsOff,
        ),
        registry=help_registry(),
    )
    return 0


def _choice(kinds: dict[str, Any]) -> Any:
    """One of several, which the next word names."""
    named = [Annotated[kind, tyro.conf.subcommand(name=name)] for name, kind in kinds.items()]
    return Union[tuple(named)]  # noqa: UP007 - of as many as there are


def _arguments(verb: str) -> Any:
    """What can follow a verb."""
    module = importlib.import_module(module_of(verb))
    if verb == "bench":
        return _with(_choice(dict(BENCHMARKS)))
    kind = _class_of(module, verb)
    return _with(_choice(dict.fromkeys(PRESETS, kind))) if verb == "train" else kind


def _class_of(module: ModuleType, verb: str) -> type:
    return getattr(module, "".join(map(str.capitalize, verb.split("-"))) + "Arguments")


def _with(choice: Any) -> type:
    """A verb whose first word is one of several."""
    return make_dataclass("First", [("first", choice)], frozen=True, kw_only=True)
