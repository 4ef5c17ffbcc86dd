"""What file names say: UCF101's and HMDB51's are unique and hold the class, a list's its split."""

import re
import unicodedata

from vifistore.sources.extensions import stem

_UCF101 = re.compile(r"v_(\w+)_g\d+_c\d+")
_HMDB51 = re.compile(r"(.+)_[a-z]_(?:nm|cm)_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+")
_SPLIT_NAME = re.compile(r"(train|test|val)(?:list|_split)0*(\d+)")


def names_class(path: str) -> bool:
    """True where a file name holds its class: v_ApplyEyeMakeup_g01_c01.avi of UCF101,
    April_09_brush_hair_u_nm_np1_ba_goo_0.avi of HMDB51."""
    return bool(_UCF101.fullmatch(stem(path)) or _HMDB51.fullmatch(stem(path)))


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


def split_name(file_stem: str) -> str:
    """The short name of an official list (testlist01 -> test1), else the name of the file.

    The store takes letters, digits and _.@+=- in names; other characters become "_".
    """
    match = _SPLIT_NAME.fullmatch(file_stem)
    if match:
        return match.group(1) + match.group(2)
    return re.sub(r"[^A-Za-z0-9_.@+=-]|^[.@+=-]", "_", file_stem)
