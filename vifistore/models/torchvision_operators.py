"""Let OpenCLIP import torchvision beside a CPU build of torch.

PyPI's torchvision is linked against CUDA torch. Beside a CPU torch its C++ operators cannot load,
and `import torchvision` stops because two operator schemas that it registers a fake
implementation for are unknown. OpenCLIP uses only its Python half, so naming the two is enough.
"""

import importlib.util
from pathlib import Path

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# Reader alive: the schemas go when their library object does.
_LIBRARIES: list[torch.library.Library] = []


def prepare() -> bool:
    """Name torchvision's missing operators if its own cannot load; return whether that was so.

    Call it before the first import of torchvision or open_clip. A second call does nothing.
    """
    if _LIBRARIES or _operators_load():
        return bool(_LIBRARIES)
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _LIBRARIES.append(library)
    return True


def _operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    extensions = sorted(Path(spec.origin).parent.glob("_C*.so"))
    if not extensions:
        return False
    try:
        # Loading registers the operators, exactly as torchvision's own import would.
        torch.ops.load_library(str(extensions[0]))
    except OSError:
        return False
    return True
