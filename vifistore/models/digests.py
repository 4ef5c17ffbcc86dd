"""Tower digests: what a tower is, whatever its file or its name."""

import hashlib

import torch

from vifistore.store.recipe import canonical_json

# Parts of an OpenCLIP model that belong to neither tower's weights.
_SCALES = ("logit_scale", "logit_bias")


def tower_digests(config: dict, state: dict[str, torch.Tensor]) -> tuple[str, str]:
    """Return the digests of the image and of the text tower.

    Parameters
    ----------
    config
        OpenCLIP model config: `embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu`.
    state
        State dict of the model; weights count as float32, in key order.
    """
    shared = {"embed_dim": config["embed_dim"], "quick_gelu": config.get("quick_gelu", False)}
    image = {key: value for key, value in state.items() if key.startswith("visual.")}
    text = {key: state[key] for key in state if key not in image and key not in _SCALES}
    return (
        _digest({**shared, "vision_cfg": config["vision_cfg"]}, image),
        _digest({**shared, "text_cfg": config["text_cfg"]}, text),
    )


def _digest(architecture: dict, weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(canonical_json(architecture).encode("ascii"))
    for key in sorted(weights):
        tensor = weights[key].detach().to(device="cpu", dtype=torch.float32).contiguous()
        digest.update(f"{key} {list(tensor.shape)} ".encode())
        digest.update(tensor.numpy())
    return digest.hexdigest()
