"""ActionCLIP's published settings, and what of them it cannot take. Imports no torch.

Those of its repository (sallymmx/ActionCLIP at 31c34df, configs/k400, hmdb51, ucf101):

    AdamW at 5e-6 for both towers and 5e-5 for the head, weight decay 0.2, betas 0.9 and 0.98
    50 epochs, 5 of them warm-up, a cosine to 0; batches of 128 (Kinetics), 64 (HMDB51), 32 (UCF101)
    head Transf of 6 blocks; a template out of 16 for each video; CLIP's own pixels
    crops, mirroring, colours and greys as ViFi-CLIP's; no mixing, no smoothing; RandAugment on
    Kinetics alone, which is not done here

Frames are those of the preset: the paper scores every system on 32 (16 in the supervised setting,
where its row of ActionCLIP has 32: --frames 32). ActionCLIP's own code begins at --frames 8.
"""

from dataclasses import replace

from vifistore.errors import Faults
from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES
from vifistore.training.presets import has_sides, note_fixed, require_preset
from vifistore.training.training_settings import TrainSettings

_BATCHES = {"k400": 128, "kinetics": 128, "ucf": 32}
_USUAL_BATCH = 64
_MICRO_BATCH = 4
_PRESETS = ("zero_shot_k400", "supervised_k400", "base_to_novel", "few_shot")
_FRAMES_OF_TABLE_4 = 32


def actionclip_published(preset: str, settings: TrainSettings, dataset: str) -> TrainSettings:
    """The settings of a preset for ActionCLIP, of those for ViFi-CLIP and of the dataset's name.

    Raises UsageError for a preset of ViFi-CLIP's prompts or fusions.
    """
    require_preset(preset, _PRESETS, "actionclip")
    is_k400 = preset in ("zero_shot_k400", "supervised_k400")
    sizes = [size for word, size in _BATCHES.items() if word in dataset.lower()]
    batch = _BATCHES["k400"] if is_k400 else (sizes or [_USUAL_BATCH])[0]
    frames = _FRAMES_OF_TABLE_4 if preset == "supervised_k400" else settings.num_frames
    return replace(
        settings,
        template=ACTIONCLIP_TEMPLATES[0],
        further_templates=ACTIONCLIP_TEMPLATES[1:],
        num_frames=frames,
        learning_rate=5e-6,
        batch_size=batch,
        # The loss is that of the whole batch, whatever fits into a forward pass.
        micro_batch=_MICRO_BATCH,
        epochs=50,
        warmup_epochs=5.0,
        final_ratio=0.0,
        weight_decay=0.2,
        released_schedule=False,
        released_data=False,
        preprocess="openclip",
        flip=0.0 if has_sides(dataset) else settings.flip,
        mixing=False,
        label_smoothing=0.0,
    )


def note_actionclip(faults: Faults, settings: TrainSettings) -> None:
    """Settings that mean nothing to ActionCLIP."""
    wanted = {"trains": "full", "fusion": "embedding", "mixing": False, "label_smoothing": 0.0}
    why = "actionclip trains both towers and the mean of its head's frames against whole videos"
    note_fixed(faults, settings, wanted, why)
