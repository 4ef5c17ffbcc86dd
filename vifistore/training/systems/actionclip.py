"""ActionCLIP: both towers and a head over frames, by the likeness of videos and their texts."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vifistore.errors import UsageError
from vifistore.models.actionclip.action_clip import ACTIONCLIP, actionclip_system, head_of
from vifistore.models.actionclip.frame_heads import HeadSizes
from vifistore.models.cut_context import encode_cut_texts
from vifistore.models.openclip_parts import Clip
from vifistore.models.system_modules import IMAGE_PREFIX, attach_added, system_of
from vifistore.training.order import Draws, stream
from vifistore.training.systems.likeness_loss import actionclip_loss, cosines_of
from vifistore.training.systems.system import (
    Embedded,
    ObjectiveInputs,
    ParameterGroup,
    Sums,
    require_system,
    trained_by_name,
)
from vifistore.training.training_data import Views
from vifistore.training.training_settings import TrainSettings
from vifistore.training.uploads import uploaded

# CoCa's captions are no part of what is scored; a bias is added to no cosine here.
_NEVER = ("text_decoder.", "logit_bias")


class ActionClipSystem:
    """Everything trains, the head at a rate of its own."""

    def add_modules(self, clip: Clip, settings: TrainSettings) -> None:
        """Give the image tower a head, or keep its own.

        Raises UsageError for a start with another head, or one for another number of frames.
        """
        if known := system_of(clip):
            _require_same(known, settings)
            clip.added_system = {**known, "frames": settings.num_frames}
            # It was loaded to infer, and then a GPU gives an LSTM no gradient.
            clip.visual.added.train()
            return
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            attach_added(clip, actionclip_system(_sizes(clip, settings), settings.num_frames))

    def groups(self, clip: Clip, settings: TrainSettings) -> Sequence[ParameterGroup]:
        """All that is scored: the token embedding, too, and the head `added_rate` times as fast."""
        for name, parameter in clip.named_parameters():
            parameter.requires_grad_(not name.startswith(_NEVER))
        every = trained_by_name(clip)
        head = {name: every.pop(name) for name in [*every] if name.startswith(IMAGE_PREFIX)}
        own = [ParameterGroup(parameters=head, rate=settings.added_rate)] if head else []
        return [ParameterGroup(parameters=every), *own]

    def objective(self, inputs: ObjectiveInputs) -> "LikenessObjective":
        """The divergence of `likeness_loss.py`."""
        return LikenessObjective(inputs)


class LikenessObjective:
    """Views of a step against one text of each one's class, drawn anew in every epoch."""

    def __init__(self, inputs: ObjectiveInputs) -> None:
        self._inputs, self._clip = inputs, inputs.clip
        self._device = inputs.clip.logit_scale.device
        self._encode_image = inputs.image_tower(inputs.clip.visual, inputs.settings.num_frames)
        self._cuts = inputs.settings.cut_context

    def texts(self) -> Tensor:
        """Nothing `[0]`: every pass has texts of its own."""
        return torch.empty(0, device=self._device)

    def sums(self, views: Views, texts: Tensor) -> Sums:
        """Loss of the pass, as `compare` has it; `texts` is `[0]`."""
        return self.compare(self.embed(views))

    def embed(self, views: Views) -> Embedded:
        """The head's means of the frames, and the texts drawn."""
        labels = views.targets.argmax(1)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._inputs.bf16):
            frames = self._encode_image(views.frames.flatten(0, 1))
            frames = frames.unflatten(0, views.frames.shape[:2])
            pooled = head_of(self._clip).outputs(frames).mean(1).float()
            text = self._encode_texts(self._drawn(views, labels)).float()
        return Embedded(views=pooled, texts=text, labels=labels)

    def compare(self, embedded: Embedded) -> Sums:
        """The divergence, and views whose nearest text is one of their class."""
        views, text, labels = embedded.views, embedded.texts, embedded.labels
        loss = actionclip_loss(views, text, labels, self._clip.logit_scale.exp())
        with torch.no_grad():
            nearest = labels[cosines_of(views, text).argmax(1)]
        return Sums(
            loss=loss * len(labels), correct=(nearest == labels).sum(), num_views=len(labels)
        )

    def _drawn(self, views: Views, labels: Tensor) -> Tensor:
        """Tokens `[view token]` of one template each, for labels `[view]`."""
        seed, count = self._inputs.settings.seed, len(self._inputs.tokens)
        drawn = [
            int(stream(Draws.TEXTS, seed, views.epoch, row).integers(count)) for row in views.rows
        ]
        return self._inputs.tokens[uploaded(torch.tensor(drawn), labels.device), labels]

    def _encode_texts(self, tokens: Tensor) -> Tensor:
        return (
            encode_cut_texts(self._clip, tokens) if self._cuts else self._clip.encode_text(tokens)
        )


def _sizes(clip: Clip, settings: TrainSettings) -> HeadSizes:
    # A class token has a position of its own.
    places = {"transf": settings.num_frames, "transf-cls": settings.num_frames + 1}
    positions = places.get(settings.frame_head, 0)
    return HeadSizes(
        head=settings.frame_head,
        dim=clip.visual.output_dim,
        positions=positions,
        layers=settings.frame_head_layers if positions else 0,
    )


def _require_same(known: dict, settings: TrainSettings) -> None:
    require_system(known, ACTIONCLIP)
    if known["head"] != settings.frame_head:
        raise UsageError(
            f"the model to start from has the head {known['head']}; give --frame-head "
            f"{known['head']} to train on, or a --pretrained without a head"
        )
    if "positions" not in known:
        return
    # Of a table that is longer than the views that it saw, only the first rows have learned.
    seen = known["frames"]
    places = seen or known["positions"] - (known["head"] == "transf-cls")
    fits = settings.num_frames == places or (not seen and settings.num_frames < places)
    if not fits:
        raise UsageError(
            f"the head of the model to start from has places for {places} frames, and this run "
            f"takes {settings.num_frames}; give --frames {places}, or train the start with as many"
        )
