"""X-CLIP's published formulas in NumPy, float64, one video and one head at a time.

From Ni et al. 2022 and microsoft/VideoX (X-CLIP/models: cct.py, mit.py, prompt.py, xclip.py).
Weights go by VideoX's names.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

_MESSAGE = re.compile(r"visual\.added\.messages\.(\d+)\.(.+)")
_VIDEOX = {
    "visual.added.integration.": "mit.",
    "visual.added.patch_norm.": "prompts_visual_ln.",
    "visual.added.patch_projection": "prompts_visual_proj",
    "added.": "prompts_generator.",
}


def to_videox(state: Mapping) -> dict:
    """A state dict of ours under the names of VideoX's files."""
    return {_to_videox(key): value for key, value in state.items()}


def _to_videox(key: str) -> str:
    if match := _MESSAGE.fullmatch(key):
        return f"visual.transformer.resblocks.{match[1]}.message_{match[2]}"
    for own, theirs in _VIDEOX.items():
        if key.startswith(own):
            return theirs + key.removeprefix(own)
    return key


@dataclass(frozen=True)
class Restated:
    """An X-CLIP by its weights."""

    weights: Mapping[str, np.ndarray]
    image_heads: int
    heads: int
    image_gelu: Callable[[np.ndarray], np.ndarray] | None = None
    """Activation of the image tower, where it is another than that of all published models."""

    def video(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames [frame 3 height width] -> the video's embedding [dim] and patches [token dim]."""
        w = self.weights
        frames = [self._embedded(picture) for picture in pixels]
        for layer in range(_count(w, "visual.transformer.resblocks.")):
            frames = self._block(frames, f"visual.transformer.resblocks.{layer}.")
        of_frames = np.stack(
            [self._norm(x[:1], "visual.ln_post") @ w["visual.proj"] for x in frames]
        )
        patches = [
            self._norm(x[1:], "prompts_visual_ln") @ w["prompts_visual_proj"] for x in frames
        ]
        return self._integrated(of_frames[:, 0]), np.mean(patches, axis=0)

    def texts(self, texts: np.ndarray, patches: np.ndarray) -> np.ndarray:
        """Text embeddings [class dim] as they are for a video of these patches."""
        w, prompts = self.weights, texts
        seen = self._norm(patches, "prompts_generator.norm")
        for layer in range(_count(w, "prompts_generator.decoder.")):
            name = f"prompts_generator.decoder.{layer}."
            query = self._norm(prompts, f"{name}norm1") @ w[f"{name}cross_attn.q_proj.weight"].T
            key, value = (seen @ w[f"{name}cross_attn.{p}_proj.weight"].T for p in "kv")
            mixed = _attention(query, key, value, self.heads)
            prompts = prompts + self._linear(mixed, f"{name}cross_attn.proj.")
            hidden = self._linear(self._norm(prompts, f"{name}norm3"), f"{name}mlp.0.")
            prompts = prompts + self._linear(_quick_gelu(hidden), f"{name}mlp.3.")
        return texts + w["prompts_generator.alpha"] * prompts

    def _embedded(self, picture: np.ndarray) -> np.ndarray:
        w = self.weights
        kernel = w["visual.conv1.weight"]
        size = kernel.shape[-1]
        patches = [
            np.tensordot(kernel, picture[:, y : y + size, x : x + size], axes=3)
            for y in range(0, picture.shape[1], size)
            for x in range(0, picture.shape[2], size)
        ]
        tokens = np.stack([w["visual.class_embedding"], *patches])
        return self._norm(tokens + w["visual.positional_embedding"], "visual.ln_pre")

    def _block(self, frames: list[np.ndarray], name: str) -> list[np.ndarray]:
        messages = np.stack([self._linear(x[0], f"{name}message_fc.") for x in frames])
        normed = self._norm(messages, f"{name}message_ln")
        messages = messages + self._own_attention(normed, f"{name}message_attn.", self.image_heads)
        return [
            self._residual(np.vstack([x, m]), name, self.image_heads, self.image_gelu)[:-1]
            for x, m in zip(frames, messages, strict=True)
        ]

    def _integrated(self, of_frames: np.ndarray) -> np.ndarray:
        x = of_frames + self.weights["mit.positional_embedding"][0]
        for layer in range(_count(self.weights, "mit.resblocks.")):
            x = self._residual(x, f"mit.resblocks.{layer}.", self.heads)
        return (x + of_frames).mean(axis=0)

    def _residual(
        self,
        x: np.ndarray,
        name: str,
        heads: int,
        gelu: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        x = x + self._own_attention(self._norm(x, f"{name}ln_1"), f"{name}attn.", heads)
        hidden = self._linear(self._norm(x, f"{name}ln_2"), f"{name}mlp.c_fc.")
        return x + self._linear((gelu or _quick_gelu)(hidden), f"{name}mlp.c_proj.")

    def _own_attention(self, x: np.ndarray, name: str, heads: int) -> np.ndarray:
        joint = self._linear(x, f"{name}in_proj_")
        query, key, value = np.split(joint, 3, axis=-1)
        mixed = _attention(query, key, value, heads)
        return self._linear(mixed, f"{name}out_proj.")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}weight"].T + self.weights[f"{name}bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def cosines(texts: np.ndarray, video: np.ndarray) -> np.ndarray:
    """[class] of texts [class dim] and a video [dim]."""
    return texts @ video / np.linalg.norm(texts, axis=-1) / np.linalg.norm(video)


def _attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int) -> np.ndarray:
    width = query.shape[-1] // heads
    parts = []
    for head in range(heads):
        own = slice(head * width, (head + 1) * width)
        products = query[:, own] @ key[:, own].T / np.sqrt(width)
        shares = np.exp(products - products.max(axis=-1, keepdims=True))
        parts.append(shares / shares.sum(axis=-1, keepdims=True) @ value[:, own])
    return np.concatenate(parts, axis=-1)


def _quick_gelu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-1.702 * x))


def _count(weights: Mapping[str, np.ndarray], prefix: str) -> int:
    rest = (key.removeprefix(prefix) for key in weights if key.startswith(prefix))
    return 1 + max(int(key.split(".")[0]) for key in rest)
