"""Clips show the motion that names them, and are the same bytes for the same seed."""

import av
import numpy as np
import pytest

from vifi.demo.clips import (
    FRAMES_PER_SECOND,
    NUM_FRAMES,
    SIDE_PIXELS,
    class_names,
    draw_clip,
    write_clips,
    write_mp4,
)
from vifi.demo.mini_datasets import MINI_DATASETS
from vifi.demo.motions import MOTIONS
from vifi.demo.world import still_scene

# What each motion changes of a still scene, and how far at least, over one and a half turns.
CHANGES = {
    "sliding sideways": {"centre": 0.2},
    "growing and shrinking": {"radius": 0.2},
    "blinking on and off": {"opacity": 0.9},
    "bouncing up and down": {"centre": 0.2},
    "changing colour": {"colour": 0.2},
    "going round and round": {"centre": 0.2},
    "sliding up and down": {"centre": 0.2},
    "bouncing sideways": {"centre": 0.2},
    "blinking while sliding": {"centre": 0.2, "opacity": 0.9},
    "sliding along a diagonal": {"centre": 0.2},
    "growing while sliding": {"centre": 0.2, "radius": 0.2},
    "blinking and growing": {"opacity": 0.9, "radius": 0.2},
    "going round while growing": {"centre": 0.2, "radius": 0.2},
    "changing colour while sliding": {"centre": 0.2, "colour": 0.2},
    "jumping about": {"centre": 0.05},
    "moving from left to right": {"centre": 0.2},
    "moving from right to left": {"centre": 0.2},
    "rising": {"centre": 0.2},
    "falling": {"centre": 0.2},
    "becoming bigger": {"radius": 0.2},
    "becoming smaller": {"radius": 0.2},
    "appearing": {"opacity": 0.9},
    "disappearing": {"opacity": 0.9},
}
MOVING = ("centre", "radius", "opacity", "colour")


def moved(motion: str, seed: int):
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 3 * np.pi, NUM_FRAMES, dtype=np.float32)
    return MOTIONS[motion](still_scene(rng, "circle", NUM_FRAMES), turn, rng)


def test_four_shapes_times_six_motions():
    names = class_names()
    assert len(set(names)) == len(names) == 24
    assert "circle sliding sideways" in names


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("seed", range(5))
def test_a_motion_changes_what_its_name_says_and_nothing_else(motion, seed):
    scene = moved(motion, seed)
    for field in MOVING:
        spread = np.ptp(getattr(scene, field), axis=0).max()
        assert spread == 0 if field not in CHANGES[motion] else spread > CHANGES[motion][field]


@pytest.mark.parametrize(
    ("motion", "field", "sign"),
    [
        ("moving from left to right", 0, 1),
        ("moving from right to left", 0, -1),
        ("rising", 1, -1),
        ("falling", 1, 1),
    ],
)
def test_what_moves_one_way_moves_that_way(motion, field, sign):
    steps = np.diff(moved(motion, 0).centre[:, field])
    assert (sign * steps > 0).all()
    assert np.ptp(moved(motion, 0).centre[:, 1 - field]) == 0


def test_datasets_share_no_class_and_every_motion_is_of_one():
    names = [name for dataset in MINI_DATASETS.values() for name in dataset.class_names]
    assert len(set(names)) == len(names) == 24 + 3 * 12 + 8
    assert [m for dataset in MINI_DATASETS.values() for m in dataset.motions] == list(MOTIONS)
    assert len({dataset.number for dataset in MINI_DATASETS.values()}) == len(MINI_DATASETS)


@pytest.mark.parametrize("name", MINI_DATASETS)
def test_every_dataset_draws_clips_of_its_own(name):
    dataset = MINI_DATASETS[name]
    for class_name in dataset.class_names[::3]:
        first, second = (
            draw_clip(class_name, split=split, number=0, seed=0, dataset=dataset)
            for split in ("train", dataset.tests[-1])
        )
        assert not np.array_equal(first, second)
        assert not np.array_equal(first[0], first[7])


@pytest.mark.parametrize("seed", range(5))
def test_directions_are_those_of_the_names(seed):
    slide, bounce, orbit = (
        np.ptp(moved(motion, seed).centre, axis=0)
        for motion in ("sliding sideways", "bouncing up and down", "going round and round")
    )
    assert slide[1] == 0 < slide[0]
    assert bounce[0] == 0 < bounce[1]
    assert orbit[0] == pytest.approx(orbit[1], abs=0.05)


@pytest.mark.parametrize("motion", [m for m, changed in CHANGES.items() if "centre" in changed])
def test_what_moves_stays_in_the_frame(motion):
    for seed in range(20):
        scene = moved(motion, seed)
        assert (scene.centre >= scene.radius[:, None] - 1e-6).all()
        assert (scene.centre <= 1 - scene.radius[:, None] + 1e-6).all()


def test_train_and_test_clips_of_one_seed_differ_and_so_do_seeds():
    drawn = [
        draw_clip("cross changing colour", split=split, number=number, seed=seed)
        for split, number, seed in [
            ("train", 0, 0),
            ("test", 0, 0),
            ("train", 1, 0),
            ("train", 0, 1),
        ]
    ]
    assert all(not np.array_equal(drawn[0], other) for other in drawn[1:])
    again = draw_clip("cross changing colour", split="train", number=0, seed=0)
    assert np.array_equal(drawn[0], again)


def test_more_classes_and_clips_leave_the_others_byte_for_byte(tmp_path):
    few, many = tmp_path / "few", tmp_path / "many"
    names = class_names()
    written = write_clips(few, names[3:4], {"test": 1}, seed=5)
    assert written == [few / "test" / names[3] / "000.mp4"]
    assert len(write_clips(many, names[2:4], {"train": 2, "test": 2}, seed=5)) == 8
    for path in written:
        assert path.read_bytes() == (many / path.relative_to(few)).read_bytes()


def test_files_are_h264_that_decodes_to_what_was_drawn(tmp_path):
    drawn = draw_clip("triangle going round and round", split="train", number=0, seed=0)
    write_mp4(tmp_path / "c.mp4", drawn)
    with av.open(str(tmp_path / "c.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == FRAMES_PER_SECOND
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    assert decoded.shape == drawn.shape == (NUM_FRAMES, SIDE_PIXELS, SIDE_PIXELS, 3)
    assert np.abs(decoded.astype(int) - drawn).mean() < 8
