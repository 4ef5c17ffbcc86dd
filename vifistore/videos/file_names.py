"""What the file names of UCF101 and HMDB51 say: they are unique, and they hold the class."""

import re

from vifistore.videos.extensions import stem

_UCF101 = re.compile(r"v_(\w+)_g\d+_c\d+")
_HMDB51 = re.compile(r"(.+)_[a-z]_(?:nm|cm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")


def is_ucf101_name(path: str) -> bool:
    """True for names such as `v_ApplyEyeMakeup_g01_c01.avi`."""
    return bool(_UCF101.fullmatch(stem(path)))


def is_hmdb51_name(path: str) -> bool:
    """True for names such as `April_09_brush_hair_u_nm_np1_ba_goo_0.avi`."""
    return bool(_HMDB51.fullmatch(stem(path)))


def class_of(path: str) -> str:
    """The class of a UCF101 video: the folder that holds it, else what its name says."""
    match = _UCF101.fullmatch(stem(path))
    return path.rpartition("/")[0].rpartition("/")[2] or (match.group(1) if match else "")


def disagrees(path: str, label: str) -> bool:
    """True where a UCF101 or HMDB51 file name holds another class than `label`."""
    name = stem(path)
    if match := _UCF101.fullmatch(name):
        return _letters(match.group(1)) != _letters(label)
    if match := _HMDB51.fullmatch(name):
        return not _letters(match.group(1)).endswith(_letters(label))
    return False


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()
