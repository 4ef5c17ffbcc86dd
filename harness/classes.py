"""What videos are compared with: the texts of classes, as vectors of unit length."""

from dataclasses import dataclass

import numpy as np

from harness.followed_texts import FollowedTexts
from harness.link import Link
from vifistore.cleaning import AS_IS


@dataclass(frozen=True, kw_only=True)
class Classes:
    """What the videos are compared with."""

    vectors: np.ndarray
    """float32 [class dim], unit length."""
    link: Link
    """What makes probabilities of cosines."""
    text_set: str
    templates: tuple[str, ...]
    cleaning: str = AS_IS
    """Of the class names in the prompts."""
    prompts: np.ndarray | None = None
    """float32 [class prompt dim], unit length: what the vectors are means of; None for one each."""
    counts: np.ndarray | None = None
    """int64 [class]: how many of the prompts of each class are meant, the first ones; None for all,
    as of templates."""
    followed: FollowedTexts | None = None
    """Where cosines are kept of texts that follow each video; then `vectors` has no row."""

    def __repr__(self) -> str:
        """The shape of the vectors and the text set."""
        dim = self.vectors.shape[1]
        return f"<Classes of text set {self.text_set}: {len(self)} vectors of {dim}>"

    def __len__(self) -> int:
        """How many classes there are."""
        return self.followed.num_classes if self.followed else len(self.vectors)

    @property
    def each_template(self) -> np.ndarray:
        """Unit vectors of every template, float32 [class prompt dim]."""
        return self.vectors[:, None] if self.prompts is None else self.prompts
