"""X-CLIP's published settings, and what of them it cannot take. Imports no torch.

Those of its repository (microsoft/VideoX, X-CLIP: utils/config.py, utils/optimizer.py, configs/):

    AdamW at 8e-6 (Kinetics) or 2e-6 for the image tower, ten times that for what is added, betas
    0.9 and 0.98, weight decay 1e-3 but on vectors, biases and positional embeddings
    30 epochs in batches of 256 (Kinetics), 50 in batches of 64 (HMDB51, UCF101), 5 of them warm-up
    text tower, its embeddings and the logit scale frozen; a class is its bare name
    pixels, crops, colours, mixing and smoothing as ViFi-CLIP's, which are X-CLIP's

Frames are those of the preset: 32, and 16 in the supervised setting. For base-to-novel X-CLIP
published none: the preset's epochs and batches are taken, as the paper did for its row of X-CLIP.
"""

from dataclasses import replace

from vifistore.errors import Faults
from vifistore.training.presets import note_fixed, require_preset
from vifistore.training.training_settings import TrainSettings

_LONG = {"epochs": 30, "learning_rate": 8e-6, "batch_size": 256}
# What X-CLIP has otherwise than ViFi-CLIP, by preset.
_PUBLISHED = {
    "zero_shot_k400": _LONG,
    "supervised_k400": _LONG,
    "base_to_novel": {},
    "few_shot": {},
}
_WARMUP_EPOCHS = 5.0


def x_clip_published(preset: str, settings: TrainSettings, dataset: str) -> TrainSettings:
    """The settings of a preset for X-CLIP, of those for ViFi-CLIP.

    Raises UsageError for a preset of ViFi-CLIP's prompts or fusions.
    """
    require_preset(preset, _PUBLISHED, "x-clip")
    changed = replace(settings, template="{}", trains="image", **_PUBLISHED[preset])
    most = _WARMUP_EPOCHS if settings.released_schedule else changed.epochs / 10
    return replace(changed, warmup_epochs=min(_WARMUP_EPOCHS, most))


def note_x_clip(faults: Faults, settings: TrainSettings) -> None:
    """Settings that mean nothing to X-CLIP."""
    wanted = {"trains": "image", "fusion": "embedding", "further_templates": ()}
    why = "x-clip trains its image tower and what it adds against one text of a class"
    note_fixed(faults, settings, wanted, why)
