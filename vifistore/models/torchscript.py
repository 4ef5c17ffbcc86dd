"""The tensors of a TorchScript archive, read without running anything that is in it.

OpenAI distributes CLIP as such archives. They are zip files: `data.pkl` describes an object with
the module's attributes, `data/N` are the bytes of tensors, and `code/` is the program, which is not
looked at. The description is a pickle, which is a program too; here its instructions are followed
by a machine that knows containers, numbers and tensors, and can neither import nor call anything.
"""

import math
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from vifistore.errors import ModelError, first_line, short
from vifistore.models.file_kinds import ZIP_DAMAGE

_REBUILD = ("torch._utils", "_rebuild_tensor_v2")
_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "BoolStorage": torch.bool,
}
_MARK = object()

# What following a description raises that is not one, or goes round in a circle, and unpacking it.
_DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, RuntimeError, ArithmeticError),
    *(*ZIP_DAMAGE, EOFError, MemoryError, struct.error, zlib.error),
)


@dataclass
class _Object:
    """What a class would be made of: nothing is made, only its attributes are kept."""

    attributes: dict = field(default_factory=dict)


def is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[-1] == "constants.pkl" for name in archive.namelist())
    except ZIP_DAMAGE:
        # No zip file, or a damaged one, of which torch says what is wrong.
        return False


def read_torchscript(path: Path, limit: int | None = None) -> dict[str, torch.Tensor]:
    """Return the tensors [...] of an archive's module, named by where they are in it.

    Raises ModelError if the archive is damaged, is made of other things than OpenAI's are, or its
    tensors take more than `limit` bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            (description,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
            root = description.removesuffix("data.pkl")
            read = partial(_read_member, archive)
            machine = _Machine(lambda key: read(f"{root}data/{key}"), limit or math.inf)
            return dict(_tensors(machine.run(read(description)), ""))
    except _DAMAGE as error:
        raise ModelError(
            f"{short(path.name)} is a TorchScript archive that cannot be read as plain tensors "
            f"({first_line(error)}); give the weights as .safetensors"
        ) from error


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Bytes of a member, as many as the archive says that it has: a compressed one may hold more,
    and `ZipFile.read` would unpack them all."""
    member = archive.getinfo(name)
    with archive.open(member) as file:
        return file.read(member.file_size)


def _tensors(node: object, name: str) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(node, torch.Tensor):
        yield name, node
    elif isinstance(node, _Object):
        for key, value in node.attributes.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


class _Machine:
    """Follows the instructions of a pickle. Raises ValueError at one that it does not know."""

    def __init__(self, read_storage: Callable[[str], bytes], limit: float) -> None:
        """Tensors may take `limit` bytes; each storage is read once."""
        self._read_storage = read_storage
        self._storages: dict[tuple[str, str], torch.Tensor] = {}
        self._left = limit
        self._stack: list = []
        self._memo: dict[int, object] = {}

    def run(self, pickle: bytes) -> object:
        for opcode, argument, _ in pickletools.genops(pickle):
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            if name in _PLAIN:
                self._stack.append(argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name]())
            elif handler := getattr(self, f"_on_{name.lower()}", None):
                handler(argument)
            elif name not in _IGNORED:
                raise ValueError(f"it holds the instruction {name}")
        raise ValueError("it has no end")

    def _until_mark(self) -> list:
        at = len(self._stack) - 1 - self._stack[::-1].index(_MARK)
        items = self._stack[at + 1 :]
        del self._stack[at:]
        return items

    def _on_global(self, argument: str) -> None:
        self._stack.append(tuple(argument.split(" ", 1)))

    def _on_binput(self, argument: int) -> None:
        self._memo[argument] = self._stack[-1]

    _on_long_binput = _on_binput

    def _on_binget(self, argument: int) -> None:
        self._stack.append(self._memo[argument])

    _on_long_binget = _on_binget

    def _on_tuple(self, _: None) -> None:
        self._stack.append(tuple(self._until_mark()))

    def _on_tuple1(self, _: None, size: int = 1) -> None:
        self._stack[-size:] = [tuple(self._stack[-size:])]

    def _on_tuple2(self, _: None) -> None:
        self._on_tuple1(None, 2)

    def _on_tuple3(self, _: None) -> None:
        self._on_tuple1(None, 3)

    def _on_append(self, _: None) -> None:
        item = self._stack.pop()
        self._stack[-1].append(item)

    def _on_appends(self, _: None) -> None:
        items = self._until_mark()
        self._stack[-1].extend(items)

    def _on_setitem(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._stack[-1][key] = value

    def _on_setitems(self, _: None) -> None:
        items = self._until_mark()
        self._stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _on_newobj(self, _: None) -> None:
        del self._stack[-2:]
        self._stack.append(_Object())

    def _on_build(self, _: None) -> None:
        attributes = self._stack.pop()
        self._stack[-1].attributes.update(attributes)

    def _on_binpersid(self, _: None) -> None:
        kind, (_, storage), key, *_further = self._stack.pop()
        if kind != "storage" or not str(key).isdecimal():
            raise ValueError(f"it refers to {kind} {key}")
        if (key, storage) not in self._storages:
            data = bytearray(self._read_storage(key))
            self._storages[key, storage] = torch.frombuffer(data, dtype=_DTYPES[storage])
        self._stack.append(self._storages[key, storage])

    def _on_reduce(self, _: None) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if function != _REBUILD:
            # An empty OrderedDict stands for a tensor's hooks; nothing else matters.
            self._stack.append(None)
            return
        storage, offset, size, stride, *_further = arguments
        self._left -= math.prod(size) * storage.element_size()
        if self._left < 0:
            raise ValueError("its tensors take more memory than those of the model")
        self._stack.append(torch.as_strided(storage, size, stride, offset).clone())


_PLAIN = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "SHORT_BINSTRING", "BINSTRING"),
}
_CONSTANTS: dict[str, Callable[[], object]] = {
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "MARK": lambda: _MARK,
}
_IGNORED = {"PROTO"}
