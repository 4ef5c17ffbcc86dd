"""X-CLIP: messages between frames, their integration and prompts that follow the video, trained
with the image tower in front of a frozen text tower."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from vifistore.errors import UsageError
from vifistore.models.openclip_parts import Clip
from vifistore.models.system_modules import attach_added, is_added, system_of
from vifistore.models.xclip.xclip_modules import (
    X_CLIP,
    XClipSizes,
    XClipTower,
    video_prompts,
)
from vifistore.store.feature_record import PATCH_TOKENS
from vifistore.training.systems.class_objective import ClassObjective, smoothed
from vifistore.training.systems.system import (
    ObjectiveInputs,
    ParameterGroup,
    Sums,
    require_system,
    trained_by_name,
)
from vifistore.training.training_data import Views
from vifistore.training.training_settings import TrainSettings


class XClipSystem:
    """What X-CLIP adds and how it is trained (microsoft/VideoX, X-CLIP/utils/optimizer.py)."""

    def add_modules(self, clip: Clip, settings: TrainSettings) -> None:
        """Add X-CLIP's modules, or keep those of a start that has them for as many frames.

        Raises UsageError for a start with others, ModelError for a model that they do not fit.
        """
        if known := system_of(clip):
            _require_same(known, settings)
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            attach_added(clip, XClipSizes(frames=settings.num_frames).as_system())

    def groups(self, clip: Clip, settings: TrainSettings) -> Sequence[ParameterGroup]:
        """The image tower at the run's rate, what is added at its own; vectors, biases and
        positional embeddings without weight decay."""
        clip.requires_grad_(False)
        clip.visual.requires_grad_(True)
        clip.added.requires_grad_(True)
        groups: dict[tuple[float, bool], dict[str, nn.Parameter]] = {}
        for name, parameter in trained_by_name(clip).items():
            rate = settings.added_rate if is_added(name) else 1.0
            groups.setdefault((rate, decays(name, parameter)), {})[name] = parameter
        return [
            ParameterGroup(parameters=own, rate=rate, weight_decay=None if has_decay else 0.0)
            for (rate, has_decay), own in groups.items()
        ]

    def objective(self, inputs: ObjectiveInputs) -> "XClipObjective":
        """Cross-entropy of views against the texts of all classes, as they follow each view."""
        return XClipObjective(inputs)


def decays(name: str, parameter: Tensor) -> bool:
    """Whether weights `[...]` of that name decay."""
    return parameter.ndim > 1 and "positional_embedding" not in name


class XClipObjective(ClassObjective):
    """As ClassObjective, of one embedding a view and texts that follow it; the text tower runs
    once."""

    def __init__(self, inputs: ObjectiveInputs) -> None:
        super().__init__(inputs)
        tower, self._prompts = XClipTower(inputs.clip.visual), video_prompts(inputs.clip)
        self._encode_view = inputs.image_tower(tower, 1)

    def sums(self, views: Views, texts: Tensor) -> Sums:
        """Loss and accuracy of texts `[class dim]`, summed over the views."""
        targets = smoothed(views.targets, self._settings.label_smoothing)
        with self._autocast():
            found = self._encode_view(views.frames)
            followed = self._prompts(texts, found[PATCH_TOKENS])
        videos = functional.normalize(found["frames"].float(), dim=-1)[:, None]
        cosines = (functional.normalize(followed.float(), dim=-1) * videos).sum(-1)
        logits = cosines * self._clip.logit_scale.exp()
        loss = -(targets * logits.log_softmax(-1)).sum()
        correct = (logits.detach().argmax(1) == targets.argmax(1)).sum()
        return Sums(loss=loss, correct=correct, num_views=len(logits))


def _require_same(known: dict, settings: TrainSettings) -> None:
    require_system(known, X_CLIP)
    if known["frames"] != settings.num_frames:
        raise UsageError(
            f"the X-CLIP to start from sees {known['frames']} frames together, and this run takes "
            f"{settings.num_frames}; give --frames {known['frames']}"
        )
