"""What the classes of the demo look like, in a few sentences: descriptions for levers.

They were written with the motions, as somebody would tell what happens, in its order; none was
chosen by a score. Words of shapes, sizes and places are those of the captions of the stills. A text
of the tiny CLIP has room for 16 tokens.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from vifi.demo.mini_datasets import MiniDataset
from vifistore.temporaries import atomic_path

FILE_NAME = "descriptions.json"

# Of every motion, {} standing for the shape.
SENTENCES: dict[str, tuple[str, ...]] = {
    "sliding sideways": (
        *("a {} at the left", "a {} at the right", "a {} that slides to the side and back"),
    ),
    "growing and shrinking": (
        *("a small {}", "a big {}", "a {} that becomes bigger, then smaller"),
    ),
    "blinking on and off": (
        *("a photo of a {}", "nothing but the background", "a {} that comes and goes in its place"),
    ),
    "bouncing up and down": (
        *("a {} at the bottom", "a {} at the top", "a {} that falls and bounces off the ground"),
    ),
    "changing colour": (*("an orange {}", "a pink {}", "a {} whose colour is another each time"),),
    "going round and round": (
        *("a {} at the top", "a {} at the right", "a {} at the bottom", "a {} at the left"),
        "a {} that goes in a circle",
    ),
    "sliding up and down": (
        *("a {} at the top", "a {} at the bottom", "a {} that slides up, then down"),
    ),
    "bouncing sideways": (
        *("a {} at the right", "a {} at the left", "a {} that bounces off the right side"),
    ),
    "blinking while sliding": (
        *("a {} at the left", "nothing but the background", "a {} at the right"),
        "a {} that slides, seen now and then",
    ),
    "sliding along a diagonal": (
        *(
            "a {} at the top left",
            "a {} at the bottom right",
            "a {} that slides from corner to corner",
        ),
    ),
    "growing while sliding": (
        *("a small {} at the left", "a big {} at the right", "a {} that slides and becomes bigger"),
    ),
    "blinking and growing": (
        *("a small {}", "nothing but the background", "a big {}", "a {} that blinks as it grows"),
    ),
    "going round while growing": (
        *(
            "a small {} at the left",
            "a big {} at the right",
            "a {} that goes in a circle and grows",
        ),
    ),
    "changing colour while sliding": (
        *("an orange {} at the left", "a pink {} at the right", "a {} that slides in many colours"),
    ),
    "jumping about": (
        *("a {} at the top left", "a {} at the bottom", "a {} that is somewhere else each time"),
    ),
    "moving from left to right": (
        *("a {} at the left", "a {} in the middle", "a {} at the right"),
    ),
    "moving from right to left": (
        *("a {} at the right", "a {} in the middle", "a {} at the left"),
    ),
    "rising": ("a {} at the bottom", "a {} in the middle", "a {} at the top"),
    "falling": ("a {} at the top", "a {} in the middle", "a {} at the bottom"),
    "becoming bigger": ("a small {}", "a {}", "a big {}"),
    "becoming smaller": ("a big {}", "a {}", "a small {}"),
    "appearing": ("nothing but the background", "a {} that is hard to see", "a photo of a {}"),
    "disappearing": ("a photo of a {}", "a {} that is hard to see", "nothing but the background"),
}


def described(dataset: MiniDataset) -> dict[str, list[str]]:
    """The sentences of each class of a dataset."""
    return {
        f"{shape} {motion}": [sentence.format(shape) for sentence in SENTENCES[motion]]
        for motion in dataset.motions
        for shape in dataset.shapes
    }


def write_descriptions(datasets: Iterable[MiniDataset], folder: Path) -> Path:
    """Write those of all classes of some datasets, as `--descriptions` reads them."""
    found = {name: texts for dataset in datasets for name, texts in described(dataset).items()}
    with atomic_path(folder / FILE_NAME) as temporary:
        temporary.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return folder / FILE_NAME
