"""What of each class of transformers makes embeddings of pixels and of tokens.

Parts, and not whole models: an image tower is copied and cast without the texts beside it.
"""

from typing import Any

import torch
from torch import Tensor, nn


class PooledImages(nn.Module):
    """CLIP and SigLIP: the pooled output of the image tower, projected where there is a projection.

    pixels [frame 3 height width] -> [frame dim].
    """

    def __init__(self, tower: nn.Module, projection: nn.Module | None = None) -> None:
        super().__init__()
        self.tower, self.projection = tower, projection or nn.Identity()

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [frame 3 height width] -> [frame dim]."""
        return self.projection(self.tower(pixel_values=pixels).pooler_output)


class PatchedImages(nn.Module):
    """SigLIP 2 of any number of patches, on squares: patches in rows, and how many each way.

    As transformers' image processor cuts them (`convert_image_to_patches`), all of them valid.
    """

    def __init__(self, tower: nn.Module, patch_size: int) -> None:
        super().__init__()
        self.tower, self.patch_size = tower, patch_size

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [frame 3 height width] -> [frame dim]."""
        patch, count = self.patch_size, len(pixels)
        rows, columns = (length // patch for length in pixels.shape[-2:])
        cut = pixels.reshape(count, 3, rows, patch, columns, patch).permute(0, 2, 4, 3, 5, 1)
        patches = cut.reshape(count, rows * columns, patch * patch * 3)
        mask = torch.ones(count, rows * columns, dtype=torch.int64, device=pixels.device)
        shapes = torch.tensor([[rows, columns]] * count, device=pixels.device)
        given = {"pixel_attention_mask": mask, "spatial_shapes": shapes}
        return self.tower(pixel_values=patches, **given).pooler_output


class PooledVideos(nn.Module):
    """VideoPrism: one embedding of the frames of a view, by attention over all of them."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [view frame 3 height width] -> [view dim]."""
        return self.tower(pixel_values_videos=pixels).pooler_output[:, 0]


class ProjectedVideos(nn.Module):
    """PE-Video: the pooled output of the encoder of frames, through the head of videos."""

    def __init__(self, tower: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [view frame 3 height width] -> [view dim]."""
        return self.head(self.tower(pixel_values_videos=pixels).pooler_output)


def pooled_texts(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """Text features [text dim] of what a tokenizer gives, each [text token]."""
    return model.get_text_features(**tokens).pooler_output


def headed_texts(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """As `pooled_texts`, of PE-Video: its class makes them in `forward` alone."""
    states = model.text_model(**tokens, output_hidden_states=True).hidden_states[-1]
    return model.text_video_head(states[:, 0])
