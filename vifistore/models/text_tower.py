"""A plain CLIP text tower in NumPy: a query is encoded before torch could have been imported.

    x_0 = E[tokens] + P;   x <- x + A(LN(x));   x <- x + W_2 g(W_1 LN(x));   t = LN(x_end) W_p

A is causal self-attention, g GELU or QuickGELU, `end` the place of the end token (Radford et al.
2019, section 2.3, and 2021, section 2.4). Nothing looks ahead, so what follows the end token is
never computed: a query of eight tokens costs a tenth of the full context. Any tower that differs
(prompts, other pooling, Hugging Face encoders) is none of ours; see `is_plain`.
What it saves a search is measured by `benchmarks/startup.py`, as *search without torch*.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vifistore.errors import ModelError
from vifistore.files import require_regular
from vifistore.models.clip_tokens import tokenize
from vifistore.models.tower_digests import is_text_key, text_digest

logger = logging.getLogger("vifi")

# OpenCLIP's defaults, which a config may state or leave out.
_SIZES = ("context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio")
_DEFAULTS = {"context_length": 77, "heads": 8, "layers": 12}
_PLAIN_VALUES = {"pool_type": "argmax", "proj_type": "linear", "pad_id": 0, "eos_id": 2}
_EPSILON = 1e-5
_READABLE = ("F32", "F16")
_BLOCK_KEYS = tuple(
    f"{part}.{kind}"
    for part in ("ln_1", "attn.in_proj", "attn.out_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for kind in ("weight", "bias")
)
_OTHER_KEYS = ("token_embedding.weight", "positional_embedding", "text_projection")
_FINAL_KEYS = ("ln_final.weight", "ln_final.bias")


@dataclass(frozen=True, kw_only=True)
class TextTower:
    """The weights of a text tower and what they belong to."""

    weights: Mapping[str, np.ndarray]
    """float32, by OpenCLIP's keys."""
    heads: int
    layers: int
    context_length: int
    is_quick_gelu: bool

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Un-normalised text embeddings, float32 [text dim]."""
        tokens = tokenize(texts, self.context_length)
        cut = [t for t, n in zip(texts, tokens, strict=True) if len(n) == self.context_length]
        if cut:
            logger.warning(
                "%d of %d texts fill the context of %d tokens and may be cut, for instance %r",
                len(cut),
                len(texts),
                self.context_length,
                cut[0],
            )
        embeddings = np.empty((len(texts), self.weights["text_projection"].shape[1]), np.float32)
        for length, places in _by_length(tokens):
            batch = np.array([tokens[place][:length] for place in places])
            embeddings[places] = self._encode(batch)
        return embeddings

    def _encode(self, tokens: np.ndarray) -> np.ndarray:
        """int [text token], each ending in the end token -> float32 [text dim]."""
        weights = self.weights
        x = weights["token_embedding.weight"][tokens]
        x = x + weights["positional_embedding"][: tokens.shape[1]]
        for layer in range(self.layers):
            x = self._block(x, f"transformer.resblocks.{layer}")
        return self._norm(x[:, -1], "ln_final") @ weights["text_projection"]

    def _block(self, x: np.ndarray, name: str) -> np.ndarray:
        x = x + self._attention(self._norm(x, f"{name}.ln_1"), f"{name}.attn")
        hidden = self._linear(self._norm(x, f"{name}.ln_2"), f"{name}.mlp.c_fc.")
        return x + self._linear(self._gelu(hidden), f"{name}.mlp.c_proj.")

    def _attention(self, x: np.ndarray, name: str) -> np.ndarray:
        num_texts, num_tokens, width = x.shape
        # [kind text head token dim], kind: query, key, value
        split = self._linear(x, f"{name}.in_proj_").reshape(
            num_texts, num_tokens, 3, self.heads, width // self.heads
        )
        query, key, value = split.transpose(2, 0, 3, 1, 4)
        scores = query @ key.swapaxes(-1, -2) / np.float32(np.sqrt(width // self.heads))
        scores[..., np.triu(np.ones((num_tokens, num_tokens), bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed = (shares @ value).swapaxes(1, 2).reshape(x.shape)
        return self._linear(mixed, f"{name}.out_proj.")

    def _linear(self, x: np.ndarray, name: str) -> np.ndarray:
        return x @ self.weights[f"{name}weight"].T + self.weights[f"{name}bias"]

    def _norm(self, x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + _EPSILON)
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _gelu(self, x: np.ndarray) -> np.ndarray:
        if self.is_quick_gelu:
            # Below -80 the sigmoid is zero in float32, and exp would overflow.
            return x / (1 + np.exp(-np.maximum(np.float32(1.702) * x, np.float32(-80))))
        return x * (1 + _erf(x * np.float32(np.sqrt(0.5)))) / 2


def _erf(x: np.ndarray) -> np.ndarray:
    """The error function, within 5e-7 in float32: formula 7.1.26 of Abramowitz and Stegun (1964).

    SciPy has it to the last digit, and takes a quarter of a second to import.
    """
    size = np.abs(x)
    t = 1 / (1 + np.float32(0.3275911) * size)
    polynomial = np.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        polynomial = (polynomial + np.float32(factor)) * t
    return np.copysign(1 - polynomial * np.exp(-size * size), x)


def is_plain(config: Mapping) -> bool:
    """Whether a model config describes a text tower that `TextTower` computes."""
    text = config.get("text_cfg")
    if not isinstance(text, dict):
        return False
    others = {key: value for key, value in text.items() if key not in _SIZES}
    has_custom_model = config.get("custom_text") or config.get("multimodal_cfg")
    return not has_custom_model and all(
        not value or value == _PLAIN_VALUES.get(key) for key, value in others.items()
    )


def has_plain_keys(config: Mapping, weights: Iterable[str]) -> bool:
    """Whether these are the keys of a plain text tower's weights: learned prompts are further."""
    found, layers = set(weights), config["text_cfg"].get("layers", _DEFAULTS["layers"])
    # More layers than there are weights are nobody's, and would be counted for ever.
    if type(layers) is not int or layers > len(found):
        return False
    return found == set(_keys(config["text_cfg"]))


def read_text_tower(path: Path, config: Mapping, digest: str) -> TextTower | None:
    """The text tower in a safetensors file; None where another program than ours must read it.

    That is so if it is no plain tower, or the file is missing or of another kind. Raises
    ModelError if the file holds another tower than the one of this digest.
    """
    if not is_plain(config) or path.suffix != ".safetensors" or not path.is_file():
        return None
    weights = _read_weights(path)
    if weights is None or not has_plain_keys(config, weights):
        return None
    if text_digest(config, weights) != digest:
        raise ModelError(
            f"the weights at {path} are not those that the store knows any more; put the right "
            "file back, or extract with the new one under another --name"
        )
    text = {**_DEFAULTS, **config["text_cfg"]}
    return TextTower(
        weights=weights,
        heads=text["heads"],
        layers=text["layers"],
        context_length=text["context_length"],
        is_quick_gelu=bool(config.get("quick_gelu", False)),
    )


def _read_weights(path: Path) -> dict[str, np.ndarray] | None:
    """The text tower's weights in a file, float32; None if NumPy lacks their type."""
    from safetensors import SafetensorError, safe_open

    try:
        require_regular(path)
        with safe_open(path, framework="np") as file:
            keys = [key for key in file.keys() if is_text_key(key)]  # noqa: SIM118 - no mapping
            if any(file.get_slice(key).get_dtype() not in _READABLE for key in keys):
                return None
            return {key: file.get_tensor(key).astype(np.float32, copy=False) for key in keys}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a readable safetensors file ({error}); put the right file back"
        ) from error


def _keys(text: Mapping) -> Iterator[str]:
    yield from (*_OTHER_KEYS, *_FINAL_KEYS)
    for layer in range(text.get("layers", _DEFAULTS["layers"])):
        for key in _BLOCK_KEYS:
            # The weights of query, key and value are one parameter and not a layer's.
            name = key.replace("in_proj.", "in_proj_")
            yield f"transformer.resblocks.{layer}.{name}"


def _by_length(tokens: list[list[int]]) -> Iterator[tuple[int, list[int]]]:
    """Texts that end at the same place, as it and their places in the list.

    A text may hold the end token itself; CLIP reads the first one.
    """
    lengths = [text.index(max(text)) + 1 for text in tokens]
    for length in sorted(set(lengths)):
        yield length, [place for place, other in enumerate(lengths) if other == length]
