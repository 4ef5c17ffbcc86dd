"""Claim: the code is made of small pieces that say what they take, give and refuse.

    python benchmarks/code_figures.py                        # this checkout
    python benchmarks/code_figures.py ../before .            # two checkouts side by side
    python benchmarks/code_figures.py --lacking shapes       # what a figure leaves to do

Counted from the syntax trees, so that no two who count differ:

- the product is every `.py` file of vifistore, harness, reports, vifi, benchmarks and examples;
- a function's lines run from `def` to its last line, its docstring among them;
- public is a function of a module, or a method of a public class, without a leading underscore;
- one takes or returns arrays if `ndarray` or `Tensor` is in its annotations, and has shapes if its
  docstring holds axes in brackets, as `[video view dim]`;
- one raises if a `raise` in it names an error, and says so if its docstring speaks of raising.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

PRODUCT = ("vifistore", "harness", "reports", "vifi", "benchmarks", "examples")
LONG_FILE = 300

_ARRAY = re.compile(r"\b(?:ndarray|Tensor)\b")
_SHAPE = re.compile(r"\[[A-Za-z_.0-9*, +]+\]")
_RAISE = re.compile(r"[Rr]aise|Error")

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function or method of the product."""

    where: str
    """File, line and name."""
    node: FunctionNode
    is_public: bool

    @property
    def num_lines(self) -> int:
        """Lines from `def` to the last one."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def docstring(self) -> str:
        """Its docstring; empty without one."""
        return ast.get_docstring(self.node) or ""

    @property
    def has_arrays(self) -> bool:
        """Whether it takes or returns arrays by its annotations."""
        return any(_ARRAY.search(ast.unparse(found)) for found in _annotations(self.node))

    @property
    def does_raise(self) -> bool:
        """Whether a `raise` in it names an error."""
        nodes = ast.walk(self.node)
        return any(isinstance(node, ast.Raise) and node.exc is not None for node in nodes)


@dataclass(frozen=True, kw_only=True)
class Code:
    """The code of one checkout."""

    root: Path

    @cached_property
    def files(self) -> dict[str, str]:
        """Text of every file of the product, by its path below the root."""
        return _texts(self.root, PRODUCT)

    @cached_property
    def functions(self) -> list[Function]:
        """Every function of the product, nested ones too."""
        return [found for path, text in self.files.items() for found in _functions(path, text)]

    @property
    def public(self) -> list[Function]:
        """Its public functions and methods."""
        return [function for function in self.functions if function.is_public]

    def lacking(self, figure: str) -> list[str]:
        """Where a figure is not met: `files` too long, or public functions without their
        `docstrings`, `shapes` or `errors`."""
        if figure == "files":
            return [
                f"{p}: {n} lines" for p, t in self.files.items() if (n := _lines(t)) > LONG_FILE
            ]
        counted, has = _OF_FIGURE[figure]
        return [found.where for found in self.public if counted(found) and not has(found)]


# Which public functions a share is of, and what they must have.
_OF_FIGURE = {
    "docstrings": (lambda found: True, lambda found: bool(found.docstring)),
    "shapes": (lambda found: found.has_arrays, lambda found: _SHAPE.search(found.docstring)),
    "errors": (lambda found: found.does_raise, lambda found: _RAISE.search(found.docstring)),
}


@dataclass(frozen=True, kw_only=True)
class CodeFigures:
    """What to count."""

    roots: tyro.conf.Positional[tuple[Path, ...]] = (Path(__file__).parents[1],)
    """Folders of checkouts; this one where none is given."""
    lacking: Annotated[
        Literal["", "files", "docstrings", "shapes", "errors"], tyro.conf.arg(metavar="FIGURE")
    ] = ""
    """List what keeps this figure from being met, instead of the table."""


def main(settings: CodeFigures) -> None:
    """Print the table, a column per checkout, or what one figure lacks."""
    codes = [Code(root=root) for root in settings.roots]
    if settings.lacking:
        print(*(line for code in codes for line in code.lacking(settings.lacking)), sep="\n")
        return
    columns = [figures(code) for code in codes]
    for name in columns[0]:
        print(" | ".join([f"{name:<44}", *(f"{column[name]:>20}" for column in columns)]))


def figures(code: Code) -> dict[str, str]:
    """Every figure of a checkout by its name, in words."""
    lines = {path: _lines(text) for path, text in code.files.items()}
    lengths = [function.num_lines for function in code.functions]
    quantiles = np.percentile(lengths, [50, 90, 99, 100])
    num_tests = sum(map(_lines, _texts(code.root, ("tests",)).values()))
    too_long = code.lacking("files")
    return {
        "files": f"{len(lines):,}",
        "lines of the product": f"{sum(lines.values()):,}",
        "lines of tests": f"{num_tests:,}",
        "tests : product": f"{num_tests / sum(lines.values()):.2f}",
        "lines of a file, median / longest": f"{np.median([*lines.values()]):.0f} / "
        f"{max(lines.values())}",
        f"files over {LONG_FILE} lines": str(len(too_long)),
        "functions": f"{len(lengths):,}",
        "lines of a function, median / p90 / p99 / max": " / ".join(f"{n:.0f}" for n in quantiles),
        **{f"public functions with {name}": _share(code, name) for name in _OF_FIGURE},
    }


def _share(code: Code, figure: str) -> str:
    counted, _ = _OF_FIGURE[figure]
    total = sum(map(counted, code.public))
    met = total - len(code.lacking(figure))
    return f"{100 * met / max(total, 1):.0f}% ({met} of {total})"


def _texts(root: Path, folders: tuple[str, ...]) -> dict[str, str]:
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    # What the reports wrote is no code of the project.
    kept = [path for path in paths if "out" not in path.relative_to(root).parts]
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in kept}


def _lines(text: str) -> int:
    return text.count("\n")


def _functions(path: str, text: str) -> Iterator[Function]:
    tree = ast.parse(text)
    public = set(map(id, _public(tree)))
    for node in ast.walk(tree):
        if isinstance(node, FunctionNode):
            where = f"{path}:{node.lineno} {node.name}"
            yield Function(where=where, node=node, is_public=id(node) in public)


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[FunctionNode]:
    """Public functions of a module and methods of its public classes."""
    for node in tree.body:
        if isinstance(node, FunctionNode) and not node.name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public(node)


def _annotations(node: FunctionNode) -> Iterator[ast.expr]:
    taken = node.args
    every = [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]
    yield from (one.annotation for one in every if one is not None and one.annotation is not None)
    if node.returns is not None:
        yield node.returns


if __name__ == "__main__":
    main(tyro.cli(CodeFigures))
