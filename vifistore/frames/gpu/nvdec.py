"""Whether this machine can decode on the video engines of an NVIDIA GPU."""

import ctypes
import re
from importlib.metadata import PackageNotFoundError, version

from vifistore.errors import UsageError
from vifistore.frames.decoders.decoder_names import NVDEC

# Of the driver, not of any package; a container has them where it may use the GPU's engines.
_LIBRARIES = ("libcuda.so.1", "libnvcuvid.so.1")
# The first whose wheels are linked against CUDA torch.
_LEAST_RELEASE = (0, 14)
_OTHERWISE = "give --decoder decord or pyav"


def check_nvdec(device_type: str) -> None:
    """Raise UsageError unless a device (`cpu`, `cuda`) can decode: by NVIDIA's driver with its
    video library, and torchcodec for CUDA."""
    if device_type != "cuda":
        raise UsageError(
            f"--decoder {NVDEC} decodes on an NVIDIA GPU, and the device is {device_type}; "
            f"{_OTHERWISE}, or another --device"
        )
    for library in _LIBRARIES:
        if not _is_loaded(library):
            raise UsageError(
                f"--decoder {NVDEC} needs {library} of NVIDIA's driver, which cannot be loaded "
                "here (a container must be given the driver's video capability, "
                f"NVIDIA_DRIVER_CAPABILITIES=compute,video,utility); {_OTHERWISE}"
            )
    _check_release(torchcodec_release())


def torchcodec_release() -> str:
    """Version of torchcodec. Raises UsageError if it is not installed."""
    try:
        return version("torchcodec")
    except PackageNotFoundError:
        raise UsageError(f"--decoder {NVDEC} needs torchcodec: {_install()}") from None


def _check_release(release: str) -> None:
    numbers = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if numbers < _LEAST_RELEASE or release.endswith("+cpu"):
        told = f"--decoder {NVDEC} needs torchcodec for CUDA, and {release} decodes on CPU cores"
        raise UsageError(f"{told}: {_install()}")


def _install() -> str:
    return "pip install 'vifistore[nvdec]', and install FFmpeg's shared libraries"


def _is_loaded(library: str) -> bool:
    """Whether a library of the system can be loaded."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
