import pytest

from vifistore.videos.file_names import disagrees, names_class

HMDB51 = "wave/prelinger_LetsBeGo1953_wave_u_cm_np10_ba_med_3.avi"
UCF101 = "v_HandStandPushups_g01_c01.avi"


def test_names_are_recognised():
    assert names_class(HMDB51)
    assert names_class(UCF101)
    assert not names_class("video_1.mp4")


@pytest.mark.parametrize(
    ("path", "label", "expected"),
    [
        (UCF101, "HandstandPushups", False),
        (UCF101, "Handstand Pushups", False),
        (UCF101, "Typing", True),
        (HMDB51, "wave", False),
        (HMDB51, "draw sword", True),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush hair", False),
        ("anything.mp4", "Typing", False),
    ],
)
def test_disagreement_with_the_label(path, label, expected):
    assert disagrees(path, label) is expected
