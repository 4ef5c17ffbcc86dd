"""What an image tower gives, held to what its encoder says."""

import contextlib
from collections.abc import Iterator

import torch

from vifistore.errors import ModelError, VifiError, first_line, short
from vifistore.models.encoders import CLIP, LoadedModel

# Of each row: `frames`, and the arrays that an encoder has beside them.
Outputs = dict[str, torch.Tensor]


def copied(name: str, value: object) -> torch.Tensor:
    """A copy of a tower's output, floats as float32. Raises ModelError for what is no tensor."""
    if not isinstance(value, torch.Tensor):
        raise ModelError(
            f"the image tower gives a {type(value).__name__} as {name}; correct the encoder, so "
            "that it gives a tensor"
        )
    dtype = torch.float32 if value.is_floating_point() else value.dtype
    return value.to(dtype, copy=True)


def check_outputs(given: Outputs, loaded: LoadedModel) -> None:
    """Raise ModelError unless what a tower gives of one row is what its encoder says."""
    own = (loaded.num_outputs,) if loaded.kind == CLIP else ()
    shapes = {"frames": [(1, *own, loaded.dim)]}
    if own == (1,):
        shapes["frames"].append((1, loaded.dim))
    beside = {**loaded.optional, **loaded.further}
    shapes |= {name: [(1, *array.lengths)] for name, array in beside.items()}
    found = {name: tuple(value.shape) for name, value in given.items()}
    for name in shapes.keys() | found.keys():
        if found.get(name) not in shapes.get(name, ()):
            wanted = " or ".join(str(list(shape)) for shape in shapes.get(name, ())) or "nothing"
            got = list(found[name]) if name in found else "nothing"
            raise ModelError(
                f"the image tower of {loaded.model} gives {got} as {name} of one "
                f"{'view' if own else 'frame'}, and its encoder says {wanted}; correct the encoder"
            )


def check_rows(given: Outputs, count: int, model: str) -> None:
    """Raise ModelError unless a tower gives as many rows as it was given."""
    for name, value in given.items():
        if len(value) != count:
            raise ModelError(
                f"the image tower of {short(model, 80)} gives {len(value)} rows of {name} for "
                f"{count}; correct the encoder, whose rows must not depend on each other"
            )


@contextlib.contextmanager
def failure_told(model: str, batch: torch.Tensor) -> Iterator[None]:
    """Raise ModelError where a tower fails, other than for lack of memory."""
    try:
        yield
    except (VifiError, MemoryError):
        raise
    except Exception as error:
        if "memory" in str(error).lower():
            raise
        raise ModelError(
            f"the image tower of {short(model, 80)} fails on a batch {list(batch.shape)} with "
            f"{type(error).__name__}: {first_line(error, 120)}; correct the encoder, or give "
            "another --precision or --device"
        ) from error
