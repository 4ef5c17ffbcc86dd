"""What cosines with further classes take, where they are not kept yet."""

from collections.abc import Mapping

from vifistore.errors import shell
from vifistore.store.features import Features
from vifistore.store.problems import model_flags


def without_tokens(features: Features, checkpoint: Mapping) -> str:
    """What new classes take where no patch tokens were kept, and the commands for it."""
    # By one of several names the set is refused to be removed: the others need it.
    places = [f"{features.dataset.name}/{name}" for name in features.names or [features.id]]
    remove = shell("vifi", "rm", features.store.path, *places)
    words = ("vifi", "extract", features.store.path, "--dataset", features.dataset.name)
    again = shell(*words, *model_flags(checkpoint), "--keep-tokens")
    size = _token_bytes(features, checkpoint)
    cost = f" ({size / 1e6:,.0f} MB, and later classes take no video)" if size else ""
    return (
        f"it kept no patch tokens, so its {features.counts()['done']:,} videos are encoded again: "
        f"{remove}, then {again}{cost}"
    )


def _token_bytes(features: Features, checkpoint: Mapping) -> int:
    """What the patch tokens of all views take in the store; 0 where that is not known."""
    config = checkpoint.get("config") or {}
    vision = config.get("vision_cfg") or {}
    sizes = (vision.get("image_size", 224), vision.get("patch_size"), config.get("embed_dim"))
    if any(type(size) is not int or size < 1 for size in sizes):
        return 0
    image, patch, dim = sizes
    views = features.view_mean.shape[1] * features.counts()["done"]
    return 2 * (image // patch) ** 2 * dim * views
