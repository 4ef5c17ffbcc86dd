"""Which parameters of a model a run trains."""

from torch import nn

from vifistore.models.prompts import IMAGE_KEY, TEXT_KEY
from vifistore.training.settings import Trains

_OTHER_PARTS = {
    IMAGE_KEY: "prompts",
    TEXT_KEY: "prompts",
    "token_embedding.weight": "never",
    "text.token_embedding.weight": "never",
    "logit_scale": "both towers",
    "logit_bias": "never",
}


def choose_trained(clip: nn.Module, trains: Trains) -> dict[str, nn.Parameter]:
    """Let exactly the parameters that `trains` names take gradients, and return them by name.

    The token embedding never does; the logit scale only in a full run (ViFi-CLIP, section 3.1).
    Prompts are trained alone, in front of frozen towers (section 5).
    """
    full = ("image", "text", "both towers")
    for name, parameter in clip.named_parameters():
        own = "image" if name.startswith("visual.") else "text"
        part = _OTHER_PARTS.get(name, own)
        parameter.requires_grad_(part in full if trains == "full" else part == trains)
    return {name: p for name, p in clip.named_parameters() if p.requires_grad}
