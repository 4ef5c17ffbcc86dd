"""Packages that others import and most runs never call, imported at the first call.

OpenCLIP imports timm for the towers that timm makes, and torchvision imports torch's compiler for
one operator: together they take as long as the rest of OpenCLIP and torch.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


class _Deferred(ModuleType):
    """Stands for a module: each of its names is a function that imports it and calls its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        if "." not in name:
            # Asked for by who only wants to know whether the package is installed.
            self.__spec__ = find_spec(name)

    def __getattr__(self, name: str) -> Callable:
        # What the import system asks for; a stand-in has no file and no parts.
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: object, **keywords: object) -> object:
            # Where it is called while the block still imports, the real one is wanted now.
            _withdraw(self)
            return getattr(import_module(self.__name__), name)(*arguments, **keywords)

        return call


@contextlib.contextmanager
def deferred(*names: str) -> Iterator[None]:
    """Have the modules of these names stood for while the block imports others.

    What is imported already stays. Afterwards the names can be imported as ever; the others keep
    the stand-ins, which know no classes: only for modules that are used by calling their functions.
    """
    is_there = {name: find_spec(name.partition(".")[0]) is not None for name in names}
    absent = [name for name in names if is_there[name] and name not in sys.modules]
    stand_ins = {name: _Deferred(name) for name in absent}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for stand_in in stand_ins.values():
            _withdraw(stand_in)


def _withdraw(stand_in: _Deferred) -> None:
    """Let the name be imported as ever, if that has not happened yet."""
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
