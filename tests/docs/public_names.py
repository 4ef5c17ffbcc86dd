"""The names that docs/API.md lists."""

import re
from typing import NamedTuple

from tests.test_house import ROOT

_ROW = re.compile(r"^\| (?:`([\w.]+)`)? ?\| `([\w.]+)` \| (.+) \| (.*)\|$", flags=re.MULTILINE)


class Public(NamedTuple):
    """A name of the public interface."""

    module: str
    name: str
    """With that of its class before a dot, where it has one."""
    what: str


def public_names() -> list[Public]:
    """Every row of the page's tables; one without a module is of that above it."""
    text = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
    found, module = [], ""
    for row in _ROW.finditer(text):
        module = row[1] or module
        found.append(Public(module, row[2], row[3]))
    return found
