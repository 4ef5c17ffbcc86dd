"""Memory of a GPU that two processes use, by the CUDA driver's own calls.

torch shares tensors of one process with another, too, but by a count of users that is never right
again once one of them was killed, and what the one that made them held is lost for the other then.
Here the process that must live on makes the memory, and gives it back.
"""

import ctypes
from typing import Any

from vifistore.errors import UsageError

_HANDLE_BYTES = 64
# cuIpcOpenMemHandle's only flag.
_LAZY_PEER_ACCESS = 1


class _Handle(ctypes.Structure):
    """CUipcMemHandle of cuda.h, which is passed by value."""

    _fields_ = [("reserved", ctypes.c_ubyte * _HANDLE_BYTES)]


def driver() -> Any:
    """The library of the driver. Raises OSError where there is none."""
    return ctypes.CDLL("libcuda.so.1")


def allocate(num_bytes: int) -> int:
    """The address of new memory on the GPU whose context is current. Raises UsageError."""
    address = ctypes.c_uint64()
    _call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(num_bytes))
    return address.value


def free(address: int) -> None:
    """Give memory of `allocate` back. Raises UsageError."""
    _call("cuMemFree_v2", ctypes.c_uint64(address))


def exported(address: int) -> str:
    """What another process opens memory of `allocate` by, hexadecimal. Raises UsageError."""
    handle = _Handle()
    _call("cuIpcGetMemHandle", ctypes.byref(handle), ctypes.c_uint64(address))
    return bytes(handle).hex()


def imported(handle: str) -> int:
    """The address, in this process, of another one's memory. Raises UsageError."""
    address = ctypes.c_uint64()
    opened = _Handle.from_buffer_copy(bytes.fromhex(handle))
    _call("cuIpcOpenMemHandle_v2", ctypes.byref(address), opened, ctypes.c_uint(_LAZY_PEER_ACCESS))
    return address.value


def _call(name: str, *arguments: object) -> None:
    library = driver()
    if status := getattr(library, name)(*arguments):
        words = ctypes.c_char_p()
        library.cuGetErrorString(status, ctypes.byref(words))
        told = (words.value or b"?").decode(errors="replace")
        raise UsageError(f"the GPU's memory cannot be shared for decoding: {name}: {told}")


class Bytes:
    """Bytes on a GPU, as `torch.as_tensor` takes them. The tensor holds this object, and that the
    `owner` of the bytes."""

    def __init__(self, address: int, count: int, owner: object = None) -> None:
        self.owner = owner
        self.__cuda_array_interface__ = {
            "shape": (count,),
            "typestr": "|u1",
            "data": (address, False),
            "version": 3,
        }
