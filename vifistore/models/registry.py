"""OpenCLIP and what it knows of its models: their configs, ours among them, and their weights."""

from pathlib import Path

from vifistore.errors import UnknownNameError
from vifistore.models import torchvision_operators
from vifistore.models.deferred import deferred
from vifistore.models.plugins.plugin_names import plugin_names

torchvision_operators.prepare()

with deferred("torch._dynamo", "torch._dynamo.utils"):
    # Alone: what else wants the compiler shall have it.
    import torchvision  # noqa: F401

with deferred("timm", "timm.layers"):
    import open_clip
    import open_clip.transformer  # named, so that checkers of types know it

open_clip.add_model_config(Path(__file__).parent / "configs")

OPENAI = "openai"


def model_config(model: str) -> dict:
    """Return the OpenCLIP config of a model. Raises UnknownNameError for an unknown name."""
    config = open_clip.get_model_config(model)
    if config is None:
        raise UnknownNameError("model", model, [*open_clip.list_models(), *plugin_names()])
    return config


def activation_sibling(model: str) -> str:
    """The model of the same shape with the other of GELU and QuickGELU; empty if none is known."""
    base = model.removesuffix("-quickgelu")
    other = base if model != base else f"{base}-quickgelu"
    return other if open_clip.get_model_config(other) else ""
