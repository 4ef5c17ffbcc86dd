"""ViFi-CLIP: CLIP as it is, its towers or prompts in front of them trained against class texts."""

import re
from collections.abc import Sequence

from torch import nn

from vifistore.errors import UsageError
from vifistore.models.openclip_parts import Clip
from vifistore.models.prompt_learning import (
    IMAGE_KEY,
    TEXT_KEY,
    PromptSettings,
    add_prompts,
    prompt_state,
)
from vifistore.models.system_modules import system_of
from vifistore.training.systems.class_objective import ClassObjective
from vifistore.training.systems.system import ObjectiveInputs, ParameterGroup, trained_by_name
from vifistore.training.training_settings import Trains, TrainSettings

_OTHER_PARTS = {
    IMAGE_KEY: "prompts",
    TEXT_KEY: "prompts",
    "logit_scale": "both towers",
    "logit_bias": "never",
}
# As CLIP calls it, BERT and its kin, and T5, whose towers OpenCLIP takes from transformers.
_WORD_EMBEDDING = re.compile(
    r"(text\.(.+\.)?)?(token_embedding|word_embeddings|embed_tokens|shared)\.weight"
)


class VifiClip:
    """The default system: one rate for all that is trained."""

    def add_modules(self, clip: Clip, settings: TrainSettings) -> None:
        """Add prompts where the settings want them. Raises UsageError for modules of another
        system."""
        if system := system_of(clip):
            raise UsageError(
                f"the model to start from has modules of {system['name']}; give --system "
                f"{system['name']} to train on, or a --pretrained without them"
            )
        if settings.trains == "prompts":
            ready_prompts(clip, settings)

    def groups(self, clip: Clip, settings: TrainSettings) -> Sequence[ParameterGroup]:
        """What `choose_trained` lets take gradients."""
        return [ParameterGroup(parameters=choose_trained(clip, settings.trains))]

    def objective(self, inputs: ObjectiveInputs) -> ClassObjective:
        """Cross-entropy against the texts of all classes."""
        return ClassObjective(inputs)


def choose_trained(clip: Clip, trains: Trains) -> dict[str, nn.Parameter]:
    """Let exactly the parameters that `trains` names take gradients, and return them by name.

    The token embedding never does; the logit scale only in a full run (ViFi-CLIP, section 3.1).
    Prompts are trained alone, in front of frozen towers (section 5).
    """
    full = ("image", "text", "both towers")
    for name, parameter in clip.named_parameters():
        own = "image" if name.startswith("visual.") else "text"
        # CoCa's captions are no part of what is scored: their decoder gets no gradient.
        own = "never" if name.startswith("text_decoder.") else own
        own = "never" if _WORD_EMBEDDING.fullmatch(name) else own
        part = _OTHER_PARTS.get(name, own)
        parameter.requires_grad_(part in full if trains == "full" else part == trains)
    return trained_by_name(clip)


def ready_prompts(clip: Clip, settings: TrainSettings) -> None:
    """Give a model the prompts that the settings ask for, or keep its own where they are such.

    Raises UsageError if it has others: the settings alone say which tower stays frozen.
    """
    towers = {
        IMAGE_KEY: ("image", settings.image_prompts, settings.image_depth),
        TEXT_KEY: ("text", settings.text_prompts, settings.text_depth),
    }
    requested = {key: sizes for key, (_, *sizes) in towers.items() if all(sizes)}
    own = {key: [*vectors.shape[1::-1]] for key, vectors in prompt_state(clip).items()}
    if own and own != requested:
        sizes = [(tower, *own.get(key, (0, 0))) for key, (tower, *_) in towers.items()]
        flags = " ".join(f"--{tower}-prompts {num} --{tower}-depth {d}" for tower, num, d in sizes)
        raise UsageError(
            f"the model to start from has prompts already, and not as many or as deep; give {flags}"
            " to train these on, or a --pretrained without prompts"
        )
    if not own:
        fields = ("image_prompts", "image_depth", "text_prompts", "text_depth")
        settings_of = PromptSettings(**{field: getattr(settings, field) for field in fields})
        add_prompts(clip, settings_of, seed=settings.seed)
