"""OpenCLIP's image transformers, small and with random weights."""

import torch
from torch import nn

from vifistore.models.registry import open_clip

SIZES = {"image_size": 32, "patch_size": 8, "width": 128, "layers": 3, "heads": 2, "mlp_ratio": 4.0}


def tower_of(**options) -> nn.Module:
    """A tower whose weights are all random, those too that start at 0 or 1."""
    torch.manual_seed(3)
    made = open_clip.transformer.VisionTransformer(**{**SIZES, "output_dim": 64, **options}).eval()
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if parameter.ndim == 1:
                start = 1.0 if "ln_" in name and name.endswith("weight") else 0.0
                parameter.copy_(start + 0.2 * torch.randn_like(parameter))
    return made
