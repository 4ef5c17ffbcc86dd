"""docs/API.md: what it lists is there, typed and documented, and all that examples use."""

import ast
import dataclasses
import importlib
import inspect
from functools import cached_property, reduce
from pathlib import Path

import pandas as pd
import pytest

from tests.docs.pages import every_block
from tests.docs.public_names import Public, public_names
from tests.test_house import ROOT
from vifistore.errors import VifiError

LISTED = public_names()
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
_OURS = ("vifistore", "harness", "reports", "vifi")


def thing(public: Public) -> object:
    """What a name stands for; of a property its function."""
    holder = importlib.import_module(public.module)
    *owners, last = public.name.split(".")
    owner = reduce(getattr, owners, holder)
    found = inspect.getattr_static(owner, last)
    if isinstance(found, property):
        return found.fget
    return found.func if isinstance(found, cached_property) else found


def lacking(found: object) -> list[str]:
    """Parameters without a type, and what else a public thing lacks."""
    if not callable(found):
        return []
    told = [] if inspect.getdoc(found) else ["docstring"]
    signature = inspect.signature(found)
    told += [
        name
        for name, parameter in signature.parameters.items()
        if name != "self" and parameter.annotation is parameter.empty
    ]
    is_function = not inspect.isclass(found)
    return told + ["return"] * (is_function and signature.return_annotation is signature.empty)


@pytest.mark.parametrize("public", LISTED, ids=lambda public: public.name)
def test_every_name_is_there_typed_and_documented(public):
    assert lacking(thing(public)) == []


def test_the_list_is_read_whole():
    text = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    headings = [line for line in rows if line.startswith(("| from", "| :---"))]
    assert len(LISTED) == len(rows) - len(headings) > 70


def test_what_is_lacking_is_noticed():
    def bare(count, other: int = 0):
        return count + other

    assert lacking(bare) == ["docstring", "count", "return"]
    assert issubclass(VifiError, Exception)


def imported(tree: ast.AST) -> set[tuple[str, str]]:
    """Module and name of what code imports of ours."""
    return {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in _OURS
        for alias in node.names
    }


def attributes(tree: ast.AST) -> set[str]:
    """Names behind a dot in code, but for those of modules it imports whole."""
    whole = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and not any(isinstance(part, ast.Name) and part.id in whole for part in ast.walk(node))
    }


def known_attributes() -> set[str]:
    """Listed methods, fields of what is listed or given, and what Python and pandas have."""
    given = {"harness.results.ResultRow", "reports.table_model.Table"}
    given |= {"vifistore.extract.job.JobReport"}
    records = [thing(Public(*name.rsplit(".", 1), "")) for name in given]
    fields = {field.name for record in records for field in dataclasses.fields(record)}
    tails = {public.name.rpartition(".")[2] for public in LISTED if "." in public.name}
    others = (pd.DataFrame, pd.Series, Path, str, list, dict)
    return fields | tails | {name for kind in others for name in dir(kind)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_use_what_is_listed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert imported(tree) - {(public.module, public.name) for public in LISTED} == set()
    assert attributes(tree) - known_attributes() == set()
    assert "python examples/" + path.name in ast.get_docstring(tree)


def test_what_the_page_imports_is_listed():
    listed = {(public.module, public.name) for public in LISTED}
    blocks = [b for b in every_block() if b.where.startswith("docs/API") and b.language == "python"]
    assert len(blocks) == 2
    for block in blocks:
        assert imported(ast.parse(block.text)) - listed == set(), block.where
