"""From frames and class texts to a loss: the towers, run as seldom as they can be."""

import torch
from torch import Tensor

from vifistore.kernels.fusion_cross_entropy import fusion_cross_entropy
from vifistore.kernels.fusion_scores import fusion_scores
from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.openclip_parts import Clip
from vifistore.training.systems.system import ObjectiveInputs, Sums
from vifistore.training.training_data import Views


class ClassObjective:
    """The loss of views against the texts of all classes.

    The text tower runs once per step, whatever the number of forward passes: they add their
    gradients up at its output, and one backward pass takes the sum through the tower.
    """

    def __init__(self, inputs: ObjectiveInputs) -> None:
        """Of the first template alone."""
        clip = inputs.clip
        self._clip, self._tokens, self._settings = clip, inputs.tokens[0], inputs.settings
        self._device = clip.logit_scale.device
        self._bf16 = inputs.bf16
        self._encode_image = inputs.image_tower(clip.visual, self._settings.num_frames)
        self._frozen_texts = None
        if self._settings.freezes_texts:
            with torch.no_grad():
                self._frozen_texts = self._encode_texts()

    def texts(self) -> Tensor:
        """Text embeddings `[class dim]` of this step, with a graph unless they are frozen."""
        return self._encode_texts() if self._frozen_texts is None else self._frozen_texts

    def sums(self, views: Views, texts: Tensor) -> Sums:
        """Loss and accuracy of texts `[class dim]`, summed over the views."""
        frames = self._embeddings(views.frames)
        targets = smoothed(views.targets, self._settings.label_smoothing)
        scale, fusion = self._clip.logit_scale.exp(), self._settings.fusion
        loss = fusion_cross_entropy(frames, texts, scale, targets, fusion) * len(frames)
        with torch.no_grad():
            scores = fusion_scores(frames.detach(), texts.detach(), scale.detach(), fusion)
            correct = (scores.argmax(1) == targets.argmax(1)).sum()
        return Sums(loss=loss, correct=correct, num_views=len(frames))

    def _embeddings(self, frames: Tensor) -> Tensor:
        """Frame embeddings `[view frame dim]` of pixels `[view frame 3 size size]`, or as given."""
        if frames.ndim == 3:
            return frames
        frozen = self._settings.freezes_images
        with torch.set_grad_enabled(not frozen), self._autocast():
            embeddings = self._encode_image(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        # As the store keeps them: training from there is the same.
        return embeddings.half().float() if frozen else embeddings

    def _encode_texts(self) -> Tensor:
        encode = encode_cut_texts if self._settings.cut_context else _encode_texts
        with self._autocast():
            texts = encode(self._clip, self._tokens)
        # Gradients of many passes add up here: too many for bfloat16.
        return texts.float() if texts.dtype == torch.bfloat16 else texts

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._bf16)


def smoothed(targets: Tensor, label_smoothing: float) -> Tensor:
    """Spread a share of the targets `[view class]` evenly over all classes; rows keep sum one."""
    return targets * (1 - label_smoothing) + label_smoothing / targets.shape[-1]


def _encode_texts(clip: Clip, tokens: Tensor) -> Tensor:
    return clip.encode_text(tokens)
