"""Where kernels run in tests, how close they must come, and compiling without a GPU."""

import importlib
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

LAUNCHING_MODULES = ("temporal_pool", "fusion_scores", "frame_softmax", "preprocess_frames")
POINTERS = {
    torch.uint8: "*u8",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
}
# Shared memory that one block can have on compute capability 9.0, bytes.
SHARED_MEMORY = 227 * 1024


@pytest.fixture
def device() -> torch.device:
    """Where kernels run: the CPU in a process that interprets them, else the GPU."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from vifistore.kernels.dispatch import INTERPRETED

    if not INTERPRETED and not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU and kernels are not interpreted")
    return torch.device("cpu" if INTERPRETED else "cuda")


@pytest.fixture
def assert_close() -> Callable[[Tensor, Tensor, Tensor], None]:
    """Hold a kernel's result to twice the error that plain PyTorch makes in the same dtype."""

    from vifistore.kernels.dispatch import INTERPRETED

    def check(result: Tensor, plain: Tensor, exact: Tensor) -> None:
        assert result.shape == plain.shape == exact.shape
        assert result.dtype == plain.dtype
        relative = 1e-6
        if INTERPRETED and result.dtype == torch.bfloat16:
            # The interpreter cuts bfloat16 off: its error is a unit where rounding's is a half.
            relative = torch.finfo(torch.bfloat16).eps / 2
        allowed = 2 * largest(plain.double() - exact) + relative * largest(exact) + 1e-12
        assert largest(result.double() - exact) <= allowed

    return check


def largest(values: Tensor) -> float:
    return values.abs().max().item()


@pytest.fixture
def hopper(monkeypatch, tmp_path_factory) -> Callable[[], list[str]]:
    """Every launch is compiled for sm_90 in place of running; gives the names of the kernels."""
    pytest.importorskip("triton", reason="Triton is not installed")
    from vifistore.kernels import dispatch

    if dispatch.INTERPRETED:
        pytest.skip("kernels cannot be compiled in a process that interprets them")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
    compiled: list[str] = []

    def launch(kernel, grid, *args, **options) -> None:
        assert all(size > 0 for size in grid)
        compiled.append(compile_for_hopper(kernel, args, options))

    for name in LAUNCHING_MODULES:
        module = importlib.import_module(f"vifistore.kernels.{name}")
        monkeypatch.setattr(module, "launch", launch)
    return compiled


def compile_for_hopper(kernel, args: tuple, options: dict) -> str:
    """Compile one launch as Triton would specialise it; return the kernel's name."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    values = dict(zip(kernel.arg_names, args, strict=False))
    values |= {name: options[name] for name in kernel.arg_names if name in options}
    signature, constants, hints = {}, {}, {}
    for index, parameter in enumerate(kernel.params):
        value = values[parameter.name]
        kind = "constexpr" if parameter.is_constexpr else argument_type(value)
        signature[parameter.name] = kind
        if kind == "constexpr":
            constants[parameter.name] = value
        elif isinstance(value, Tensor) or value % 16 == 0:
            hints[index,] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=hints)
    built = triton.compile(
        source,
        target=GPUTarget("cuda", 90, 32),
        options={"num_warps": options.get("num_warps", 4), "enable_fp_fusion": True},
    )
    assert ".target sm_90a" in built.asm["ptx"]
    assert built.asm["cubin"]
    assert built.metadata.shared <= SHARED_MEMORY
    return kernel.__name__


def argument_type(value: object) -> str:
    """Triton's name of an argument's type; None and 1 are compiled in."""
    if isinstance(value, Tensor):
        return POINTERS[value.dtype]
    if value is None or value == 1:
        return "constexpr"
    return "i32"
