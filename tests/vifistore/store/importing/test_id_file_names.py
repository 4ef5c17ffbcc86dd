"""File names of videos: all different, none outside its folder."""

from pathlib import PurePosixPath

from hypothesis import given, settings
from hypothesis import strategies as st

from vifistore.store.importing.id_file_names import file_stems

IDS = st.lists(st.text(min_size=1, max_size=200), unique=True, max_size=20)
NASTY = st.lists(st.text("./\\aA_-\0 ", min_size=1, max_size=8), unique=True, max_size=20)


def test_folders_stay_and_endings_go():
    ids = [
        "a/x.mp4",
        "a/x.avi",
        "A/X.mp4",
        "../../etc/passwd",
        "a/../b",
        "/abs.mp4",
        "v_01_c.b.mp4",
    ]
    stems = file_stems(ids)
    assert stems[0] == "a/x"
    assert stems[1].startswith("a/x-")
    assert stems[2].startswith("A/X-")
    assert stems[3:] == ["_/_/etc/passwd", "a/_/b", "_/abs", "v_01_c.b"]


@settings(deadline=None, max_examples=50)
@given(st.one_of(IDS, NASTY))
def test_names_are_safe_different_and_stay_when_ids_follow(ids):
    stems = file_stems(ids)
    files = [f"{stem}_clip.npy" for stem in stems]
    assert len({file.casefold() for file in files}) == len(ids)
    folders = {str(parent) for file in files for parent in PurePosixPath(file).parents}
    assert not folders & set(files)
    for file in files:
        parts = file.split("/")
        assert all(part and not part.startswith(".") and "\\" not in part for part in parts)
        assert all(len(part.encode()) < 255 for part in parts)
    assert file_stems(ids[: len(ids) // 2]) == stems[: len(ids) // 2]
