"""Where a number differs from what the paper's released code would give for the same weights.

Read from the code of muzairkhattak/ViFi-CLIP at e2d1948: `datasets/pipeline.py` and
`datasets/build.py` (sampling, pixels, loader), `trainers/vificlip.py` (texts) and `main.py`
(validation, precision). Sizes were measured beside it: of frames on real clips, of embeddings on a
ViT-B/16 with random weights, as a share of their length. What is not named here was equal to 1e-5
of it. Training has its own list, in `vifistore/training/presets.py`.
"""

from collections.abc import Mapping

ALL_VIDEOS = "every video is scored; the released code drops each process's incomplete last batch"
TEXTS = (
    "texts are encoded in fp32; the released code adds token and position embeddings in fp16, "
    "which changes them by 1.3e-4"
)
IN_ORDER = (
    "frames of files without a true index are read in order; the released code seeks by decord, "
    "which counts HMDB51's AVIs wrong and shows other frames of 10 in 11 (up to 77 levels apart)"
)
FIXED_CLIPS = "clips are taken at fixed places; the released code draws several clips at random"
PIXELS = "pixels are prepared as OpenCLIP does; the released code takes ImageNet's statistics"
FORMER_PIXELS = (
    "sizes and crops are rounded as Pillow does, up to 202 levels from the released code's; "
    "extract again with --preprocess paper and another --name"
)
PRECISION = {
    "fp32": "the image tower ran in fp32; the released code's fp16 changes embeddings by 1e-3",
    "bf16": "the image tower ran in bf16, 1e-2 from fp32; the released code's fp16 is 1e-3 from it",
}

_PAPER_BACKEND = "opencv-exact"


def differences(recipe: Mapping) -> list[str]:
    """One sentence per difference, for the recipe of a feature set."""
    sentences = [ALL_VIDEOS, TEXTS]
    if int(recipe.get("clips", 1)) > 1:
        sentences.append(FIXED_CLIPS)
    preprocessing = recipe.get("preprocessing")
    if not isinstance(preprocessing, Mapping):
        # Not made from videos here: how is not known.
        return sentences
    sentences.append(IN_ORDER)
    if preprocessing.get("name") != "paper":
        sentences.append(PIXELS)
    elif preprocessing.get("backend") != _PAPER_BACKEND:
        sentences.append(FORMER_PIXELS)
    if precision := PRECISION.get(str(recipe.get("precision"))):
        sentences.append(precision)
    return sentences
