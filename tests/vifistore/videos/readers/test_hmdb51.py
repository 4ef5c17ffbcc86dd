import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

FILES = [f"April_09_brush_hair_u_nm_np1_ba_goo_{number}.avi" for number in range(3)]
WAVE = "RATRACE_wave_f_nm_np1_fr_goo_37.avi"


@pytest.fixture
def official(write):
    lines = "".join(f"{name} {part} \r\n" for name, part in zip(FILES, "120", strict=True))
    write("lists/brush_hair_test_split1.txt", lines)
    write("lists/wave_test_split1.txt", f"{WAVE} 2\r\n")
    write("lists/brush_hair_test_split2.txt", f"{FILES[0]} 2\r\n")
    return write("lists/wave_test_split2.txt", f"{WAVE} 1\r\n").parent


def test_official_split_files(make_files, official):
    root = make_files(*(f"brush_hair/{name}" for name in FILES), f"wave/{WAVE}")
    listing = read_source(official, root=root)
    assert list(listing.splits) == ["test1", "test2", "train1", "train2"]
    assert listing.class_names == ["brush_hair", "wave"]
    test = listing.splits["test1"]
    assert [listing.paths[row].rpartition("/")[2] for row in test.rows] == [FILES[1], WAVE]
    assert test.labels == [0, 1]
    assert test.source == "*_test_split1.txt"
    assert test.digest != listing.splits["test2"].digest
    assert len(listing.ids) == 4


def test_class_file_gives_the_spelling(make_files, official, write):
    classes = write("sub/labels.csv", "id,name\n0,wave\n1,brush hair\n")
    listing = read_source(official, root=make_files(*FILES, WAVE), labels=classes)
    assert listing.splits["test1"].class_names == ["wave", "brush hair"]
    assert listing.splits["test1"].labels == [1, 0]


def test_one_file_alone_and_a_bad_part_are_refused(make_files, official, write):
    root = make_files(*FILES, WAVE)
    with pytest.raises(UsageError, match="holds one class; name its folder"):
        read_source(official / "wave_test_split1.txt", root=root)
    write("lists/wave_test_split1.txt", f"{WAVE} 3\n")
    with pytest.raises(UsageError, match=r"wave_test_split1\.txt line 1: expected 0, 1 or 2"):
        read_source(official, root=root)
