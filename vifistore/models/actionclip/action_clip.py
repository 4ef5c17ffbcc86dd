"""A CLIP with a head of ActionCLIP on its image tower, as an encoder of views."""

from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor, nn

from vifistore.errors import ModelError
from vifistore.models.actionclip.frame_heads import (
    HEADS,
    HeadSizes,
    new_frame_head,
    num_outputs,
    sizes_in,
)
from vifistore.models.actionclip.temporal_transformer import FrameHead
from vifistore.models.encoders import CLIP
from vifistore.models.openclip_parts import Clip, ImageTower
from vifistore.store.schema import MOST_FRAMES

ACTIONCLIP = "actionclip"
_ADDED = "visual.added."
_MOST_LAYERS = 64


def actionclip_system(sizes: HeadSizes, num_frames: int) -> dict:
    """A head and the frames of a view it was trained on (0 where that is not known), as a header
    says them."""
    known = {key: value for key, value in asdict(sizes).items() if value and key != "dim"}
    return {"name": ACTIONCLIP, "frames": num_frames, **known}


def attach_head(clip: Clip, system: Mapping, state: Mapping[str, Tensor] | None) -> None:
    """Give a model's image tower a head of the sizes of `system`, for the weights `[...]` of
    `state` if given; raises ModelError for sizes that cannot be, or are not those of the weights.
    """
    sizes = _sizes(system, _dim(clip))
    if state is not None:
        with torch.device("meta"):
            _require_same(new_frame_head(sizes), state)
    clip.visual.added = new_frame_head(sizes)


def head_of(clip: Clip) -> FrameHead:
    """The head of a model that has one."""
    head = clip.visual.added
    assert isinstance(head, FrameHead), "a model of this system has a head"
    return head


def system_in(state: Mapping[str, Tensor]) -> dict:
    """The system of weights `[...]` that nothing else tells of; empty for those of no head."""
    own = {key.removeprefix(_ADDED): t for key, t in state.items() if key.startswith(_ADDED)}
    sizes = sizes_in(own)
    if sizes is None:
        return {}
    # Its table of positions is as long as a text; only a class token's has a place per frame.
    return actionclip_system(sizes, sizes.positions - 1 if sizes.head == "transf-cls" else 0)


def view_facts(clip: Clip, system: Mapping) -> dict:
    """What the encoder is: one of views, but for the head that leaves frames as they are.

    Where the frames that a head was trained on are not known, it gives one embedding of a view.
    """
    sizes, num_frames = _sizes(system, _dim(clip)), int(system["frames"])
    if sizes.head == "mean":
        return {}
    return {
        "view_tower": ViewTower(clip.visual, head_of(clip), is_mean=not num_frames),
        "kind": CLIP,
        "num_frames": num_frames,
        "num_outputs": num_outputs(sizes, num_frames) if num_frames else 1,
    }


class ViewTower(nn.Module):
    """An image tower and its head: pixels of whole views in, embeddings out."""

    def __init__(self, visual: ImageTower, head: FrameHead, *, is_mean: bool) -> None:
        """With `is_mean` it gives one embedding of a view: the mean of what the head gives."""
        super().__init__()
        self.visual, self.head, self._is_mean = visual, head, is_mean

    def forward(self, pixels: Tensor) -> Tensor:
        """`[view frame 3 height width]` -> `[view output dim]`, or `[view dim]`."""
        frames = self.visual(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        outputs = self.head.outputs(frames)
        return outputs.mean(1) if self._is_mean else outputs


def _sizes(system: Mapping, dim: int) -> HeadSizes:
    values = {name: system.get(name, 0) for name in ("frames", "positions", "layers")}
    most = {"frames": MOST_FRAMES, "positions": MOST_FRAMES, "layers": _MOST_LAYERS}
    for name, value in values.items():
        if type(value) is not int or not 0 <= value <= most[name]:
            raise ModelError(
                f"the checkpoint's head has {value!r:.40} as {name}, not 0 to {most[name]}; "
                "convert the file again"
            )
    head = system.get("head")
    if head not in HEADS:
        raise ModelError(
            f"the checkpoint's head is {head!r:.40}, and there are {', '.join(HEADS)}; install the "
            "version that it was trained with"
        )
    del values["frames"]
    return HeadSizes(head=head, dim=dim, **values)


def _dim(clip: Clip) -> int:
    """Length of an embedding. Raises ModelError for an image tower that does not say it."""
    dim = getattr(clip.visual, "output_dim", None)
    if not isinstance(dim, int):
        raise ModelError(
            "ActionCLIP's heads stand on OpenCLIP's own image towers, which this model has not; "
            "use a ViT such as ViT-B-16-quickgelu"
        )
    return dim


def _require_same(head: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Raise ModelError for weights of another head, before memory is taken for this one."""
    own = {key.removeprefix(_ADDED): t for key, t in state.items() if key.startswith(_ADDED)}
    expected = {key: tuple(tensor.shape) for key, tensor in head.state_dict().items()}
    found = {key: tuple(tensor.shape) for key, tensor in own.items()}
    if expected != found:
        keys = sorted(k for k in expected | found if expected.get(k) != found.get(k))
        raise ModelError(
            f"the checkpoint's head is not of the sizes that it says: {keys[0]:.60} is "
            f"{list(found.get(keys[0], ()))} and not {list(expected.get(keys[0], ()))}; copy the "
            "file again"
        )
