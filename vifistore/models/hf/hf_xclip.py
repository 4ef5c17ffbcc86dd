"""X-CLIPs of transformers: their files are read into our own modules, beside OpenCLIP's towers.

The class of transformers makes texts follow every video, and keeps nothing that a store could; see
`vifistore.models.xclip`.
"""

from dataclasses import dataclass
from pathlib import Path

from vifistore.errors import ModelError, UsageError, short
from vifistore.models.hf.hf_folder import HfSource, read_config, weight_files
from vifistore.models.load_settings import RANDOM

# Patch, width and picture of the image tower: those that were published.
_MODELS = {
    (32, 768, 224): "ViT-B-32-quickgelu",
    (16, 768, 224): "ViT-B-16-quickgelu",
    (14, 1024, 224): "ViT-L-14-quickgelu",
    (14, 1024, 336): "ViT-L-14-336-quickgelu",
}


@dataclass(frozen=True, kw_only=True)
class XClipFile:
    """A file of weights, and the model of OpenCLIP whose towers it has."""

    model: str
    path: Path


def xclip_file(source: HfSource) -> XClipFile | None:
    """The file of an X-CLIP; None for any other architecture.

    Raises ModelError for towers that OpenCLIP has no model of, UsageError for random weights.
    """
    config = read_config(source.folder)
    if config.get("model_type") != "xclip":
        return None
    vision = config.get("vision_config")
    vision = vision if isinstance(vision, dict) else {}
    # transformers leaves out what is its default.
    usual = {"patch_size": 32, "hidden_size": 768, "image_size": 224}
    sizes = tuple(vision.get(key, value) for key, value in usual.items())
    known = _MODELS.get(sizes) if all(type(size) is int for size in sizes) else None
    if known is None:
        raise ModelError(
            f"{short(source.model, 80)} is an X-CLIP with towers of patch, width and picture "
            f"{sizes!r:.60}, which no model of OpenCLIP has; give one that microsoft published"
        )
    if source.taken == RANDOM:
        raise UsageError(
            f"{short(source.model, 80)} is an X-CLIP, which has no random weights here; leave out "
            "--pretrained none, or train one: vifi train --system x-clip"
        )
    files = weight_files(source.folder)
    if len(files) > 1:
        raise ModelError(
            f"{short(source.model, 80)} has its weights in {len(files)} files; save it in one: "
            "model.save_pretrained(FOLDER, max_shard_size='99GB')"
        )
    return XClipFile(model=known, path=files[0])
