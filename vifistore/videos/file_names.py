"""What the file names of UCF101 and HMDB51 say: they are unique, and they hold the class."""

import re
import unicodedata

from vifistore.videos.extensions import stem

_UCF101 = re.compile(r"v_(\w+)_g\d+_c\d+")
_HMDB51 = re.compile(r"(.+)_[a-z]_(?:nm|cm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")


def is_ucf101_name(path: str) -> bool:
    """True for names such as `v_ApplyEyeMakeup_g01_c01.avi`."""
    return bool(_UCF101.fullmatch(stem(path)))


def is_hmdb51_name(path: str) -> bool:
    """True for names such as `April_09_brush_hair_u_nm_np1_ba_goo_0.avi`."""
    return bool(_HMDB51.fullmatch(stem(path)))


def names_class(path: str) -> bool:
    """True where a file name holds its class."""
    return is_ucf101_name(path) or is_hmdb51_name(path)


def class_of(path: str) -> str:
    """The class of a UCF101 video: the folder that holds it, else what its name says."""
    match = _UCF101.fullmatch(stem(path))
    return path.rpartition("/")[0].rpartition("/")[2] or (match.group(1) if match else "")


def disagrees(path: str, label: str) -> bool:
    """True where a UCF101 or HMDB51 file name holds another class than `label`."""
    name = stem(path)
    if match := _UCF101.fullmatch(name):
        return letters(match.group(1)) != letters(label)
    if match := _HMDB51.fullmatch(name):
        return not letters(match.group(1)).endswith(letters(label))
    return False


def letters(name: str) -> str:
    """What spellings of a name have in common: its letters and digits, whatever their case."""
    name = unicodedata.normalize("NFC", name)
    return re.sub(r"[\W_]", "", name).casefold()
