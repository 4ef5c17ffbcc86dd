"""Where a number differs from what the paper's released code would give for the same weights.

Read from the code of muzairkhattak/ViFi-CLIP at e2d1948: `datasets/pipeline.py` and
`datasets/build.py` (sampling, pixel statistics, loader) and `main.py` (validation).
"""

from collections.abc import Mapping

ALL_VIDEOS = "every video is scored; the released code drops each process's incomplete last batch"
FIXED_CLIPS = "clips are taken at fixed places; the released code draws several clips at random"
PIXELS = "pixels are prepared as OpenCLIP does; the released code takes ImageNet's statistics"


def differences(recipe: Mapping) -> list[str]:
    """One sentence per difference, for a recipe that was extracted from videos."""
    found = [ALL_VIDEOS]
    if int(recipe.get("clips", 1)) > 1:
        found.append(FIXED_CLIPS)
    preprocessing = recipe.get("preprocessing")
    if isinstance(preprocessing, Mapping) and preprocessing.get("name") != "paper":
        found.append(PIXELS)
    return found
