"""Triton kernels compiled for a GPU that need not be there, and what their machine code holds.

Registers, spills and shared memory are what ptxas says; instructions are counted in what nvdisasm
shows. Both programs are part of Triton. Blocks and warps of a multiprocessor follow from the limits
of compute capability 9.0 (CUDA C++ Programming Guide, "Compute Capabilities").
"""

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from vifistore.kernels.dispatch import H100, Card, launched_by

HOPPER = 90
CARDS = {
    80: Card(multiprocessors=108, shared_bytes=163 * 1024),
    86: Card(multiprocessors=84, shared_bytes=99 * 1024),
    89: Card(multiprocessors=58, shared_bytes=99 * 1024),
    HOPPER: H100,
    100: Card(multiprocessors=148, shared_bytes=227 * 1024),
    120: Card(multiprocessors=170, shared_bytes=99 * 1024),
}
"""A card of each compute capability: A100, A10, L4, H100, B200, RTX 5090. Of shared memory a block
can have what "Technical Specifications per Compute Capability" says."""
# What a multiprocessor has, and what it hands out at once.
REGISTERS, REGISTER_UNIT = 65_536, 256
SHARED_BYTES, SHARED_RESERVED = 228 * 1024, 1024
WARPS, BLOCKS = 64, 32

POINTERS = {
    torch.uint8: "*u8",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
}
_OPERATION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)")


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """One launch, compiled."""

    kernel: str
    """Name of the function."""
    specialisation: str
    """Types, compiled-in values and what is known of arguments: one a compilation."""
    grid: tuple[int, ...]
    tiles: dict[str, int]
    """Tile sizes and stages that the launch compiled in, by their names."""
    warps: int
    """Warps of a block."""
    stages: int
    """Stages that Triton was allowed for loads in loops."""
    shared_bytes: int
    """Shared memory of a block."""
    ptx: str
    cubin: bytes

    @cached_property
    def _usage(self) -> dict[str, int]:
        found = _tool("cuobjdump", "--dump-resource-usage", self.cubin)
        return {name: int(value) for name, value in re.findall(r"\b([A-Z]+):(\d+)", found)}

    @property
    def registers(self) -> int:
        """Registers of a thread."""
        return self._usage["REG"]

    @property
    def spill_bytes(self) -> int:
        """Bytes of a thread that did not find a register."""
        return self._usage["STACK"] + self._usage["LOCAL"]

    @cached_property
    def operations(self) -> Counter[str]:
        """How often each operation stands in the machine code, without what follows its dot."""
        lines = _tool("nvdisasm", "--print-code", self.cubin).splitlines()
        found = filter(None, map(_OPERATION.search, lines))
        return Counter(match[1].split(".")[0] for match in found)

    @property
    def blocks(self) -> int:
        """Blocks that a multiprocessor holds at once."""
        a_warp = -(-self.registers * 32 // REGISTER_UNIT) * REGISTER_UNIT
        by_registers = REGISTERS // (a_warp * self.warps)
        by_shared = SHARED_BYTES // (self.shared_bytes + SHARED_RESERVED)
        return min(by_registers, by_shared, WARPS // self.warps, BLOCKS)


@contextmanager
def compiling(capability: int = HOPPER) -> Iterator[list[Compiled]]:
    """Compile every launch within for one of `CARDS` in place of running it; gives what was
    compiled."""
    found: list[Compiled] = []

    def compile_instead(kernel: Any, grid: tuple, args: tuple, options: dict) -> None:
        found.append(compiled(kernel, grid, args, options, capability))

    with launched_by(compile_instead, CARDS[capability]):
        yield found


def compiled(
    kernel: Any, grid: tuple, args: tuple, options: dict[str, Any], capability: int
) -> Compiled:
    """One launch as Triton would specialise it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, constants, hints = specialised(kernel, args, options)
    built = triton.compile(
        ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=hints),
        target=GPUTarget("cuda", capability, 32),
        options={
            "enable_fp_fusion": True,
            **{name: options[name] for name in ("num_warps", "num_stages") if name in options},
        },
    )
    return Compiled(
        kernel=kernel.__name__.strip("_").removesuffix("_kernel"),
        specialisation=repr((signature, constants, sorted(hints))),
        grid=grid,
        tiles={name: value for name, value in options.items() if name in kernel.arg_names},
        warps=built.metadata.num_warps,
        stages=built.metadata.num_stages,
        shared_bytes=built.metadata.shared,
        ptx=built.asm["ptx"],
        cubin=built.asm["cubin"],
    )


def specialised(kernel: Any, args: tuple, options: dict[str, Any]) -> tuple[dict, dict, dict]:
    """Types of a launch's arguments, those compiled in, and those known to be divisible by 16."""
    values = dict(zip(kernel.arg_names, args, strict=False))
    values |= {name: options[name] for name in kernel.arg_names if name in options}
    signature, constants, hints = {}, {}, {}
    for index, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        plain = parameter.do_not_specialize
        kind = "constexpr" if parameter.is_constexpr else _argument_type(value, plain)
        signature[parameter.name] = kind
        if kind == "constexpr":
            constants[parameter.name] = value
        elif _is_aligned(value) and not (plain or parameter.do_not_specialize_on_alignment):
            hints[index,] = [["tt.divisibility", 16]]
    return signature, constants, hints


def _is_aligned(value: Any) -> bool:
    """Whether Triton compiles a launch for a multiple of 16; tensors of whole storages are."""
    return isinstance(value, Tensor) or value % 16 == 0


def _argument_type(value: object, is_plain: bool) -> str:
    """Triton's name of an argument's type; None and 1 are compiled in."""
    if isinstance(value, Tensor):
        return POINTERS[value.dtype]
    if value is None or (value == 1 and not is_plain):
        return "constexpr"
    return "i32"


def _tool(name: str, flag: str, cubin: bytes) -> str:
    """What a program that comes with Triton says of machine code."""
    from triton import knobs

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [getattr(knobs.nvidia, name).path, flag, file.name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
