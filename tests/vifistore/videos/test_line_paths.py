"""Lists of other machines: their prefixes, backslashes and addresses, and links on clusters."""

import unicodedata

import pytest

from vifistore.errors import UsageError
from vifistore.videos.line_paths import parse_prefixes
from vifistore.videos.listing import read_source

FILES = ("run/x1.mp4", "air drumming/x2.mp4")


@pytest.fixture
def scan(make_files, write):
    """Read a list of `path label` lines about two videos; gives ids and notes."""
    root = make_files(*FILES)

    def read(*paths, labels=("0", "1"), **settings):
        text = "".join(f"{path},{label}\n" for path, label in zip(paths, labels, strict=True))
        listing = read_source(write("lists/l.csv", text), **{"root": root, **settings})
        return listing.ids, listing.notes

    return read


@pytest.mark.parametrize(
    ("prefix", "told"),
    [
        ("/home/u/data/k400/", "'/home/u/data/k400'"),
        ("/", "'/'"),
        ("k400/videos/", "'k400/videos'"),
        ("C:\\Users\\u\\k400\\", "'C:/Users/u/k400'"),
        ("D:/k400\\", "'D:/k400'"),
        ("\\\\server\\share\\k400\\", "'/server/share/k400'"),
        ("s3://bucket/k400/", "'s3:/bucket/k400'"),
        ("https://host.org/k400/", "'https:/host.org/k400'"),
    ],
)
def test_folders_of_another_machine_are_dropped_and_told(scan, prefix, told):
    slash = "\\" if prefix.endswith("\\") else "/"
    ids, notes = scan(*(prefix + path.replace("/", slash) for path in FILES))
    assert ids == list(FILES)
    assert f"paths begin with {told}, which is read as the root" in notes


def test_addresses_of_files_are_unquoted(scan):
    for start in ("file:///home/u", "file://host/home/u", "https://host.org/a%20b"):
        assert scan(f"{start}/run/x1.mp4", f"{start}/air%20drumming/x2.mp4")[0] == list(FILES)


def test_backslashes_are_slashes_unless_a_file_is_called_so(scan, make_files):
    assert scan("run\\x1.mp4", "air drumming\\x2.mp4")[0] == list(FILES)
    make_files("run\\x1.mp4")
    assert scan("run\\x1.mp4", "run/x1.mp4")[0] == ["run\\x1.mp4", "run/x1.mp4"]


def test_prefixes_are_mapped_as_told(scan, make_files):
    root = make_files("disk2/y.mp4")
    paths = "/a/k400/run/x1.mp4", "/b/y.mp4"
    with pytest.raises(UsageError, match=r"--map-prefix OLD=NEW \(repeat it for several\)"):
        scan(*paths)
    mapping = ["/a/k400=", "/b=disk2"]
    assert scan(*paths, map_prefix=mapping)[0] == ["run/x1.mp4", "disk2/y.mp4"]
    mapping = [f"/a/k400={root}", f"/b={root}/disk2"]
    # Without --root, it is where the prefixes lead to.
    assert scan(*paths, map_prefix=mapping, root=None)[0] == ["run/x1.mp4", "disk2/y.mp4"]
    _, notes = scan("x1.mp4", "x2.mp4", map_prefix=["=run"])
    assert "1 of 2 listed videos were found by file name" in notes


def test_longest_prefix_goes_first_and_ends_at_a_folder():
    assert parse_prefixes(["/a=1", "/a/b/=2", "C:\\x=3"]) == (
        ("/a/b", "2"),
        ("C:/x", "3"),
        ("/a", "1"),
    )
    with pytest.raises(UsageError, match=r"/a lacks a =; write OLD=NEW"):
        parse_prefixes(["/a"])


def test_a_prefix_ends_at_a_folder(scan):
    with pytest.raises(UsageError, match=r"'/ab/x1\.mp4' is not below the root"):
        scan("/ab/x1.mp4", "/ab/y.mp4", map_prefix=["/a=run"])


def test_the_folder_of_the_class_is_never_dropped(make_files, write):
    """x1.mp4 of another class must not stand for it."""
    root = make_files("x1.mp4", "x2.mp4")
    source = write("l.csv", "/k400/run/x1.mp4,run\n/k400/run/x2.mp4,run\n")
    with pytest.raises(UsageError, match="--map-prefix /k400/run=FOLDER"):
        read_source(source, root=root)
    assert read_source(source, root=root, map_prefix=["/k400/run="]).ids == ["x1.mp4", "x2.mp4"]


def test_flat_videos_are_found_below_a_folder_of_another_machine(make_files, write):
    root = make_files("1.webm", "2.webm")
    source = write("l.txt", "/data/ssv2/1.webm 5\n/data/ssv2/2.webm 7\n")
    assert read_source(source, root=root).ids == ["1.webm", "2.webm"]


def test_nothing_leaves_the_root(scan, make_files):
    make_files("secret.mp4", folder="outside")
    for path in ("..\\outside\\secret.mp4", "/x/../../outside/secret.mp4", "run/../../y.mp4"):
        with pytest.raises(UsageError, match=r"leaves the root|is not below the root"):
            scan("run/x1.mp4", path)
    with pytest.raises(UsageError, match="leaves the root"):
        scan("/a/secret.mp4", "run/x1.mp4", map_prefix=["/a=../outside"])
    with pytest.raises(UsageError, match="is not below the root"):
        scan("/a/secret.mp4", "run/x1.mp4", map_prefix=["/a=/outside"])


def test_what_is_nowhere_is_named_with_what_was_tried(scan):
    with pytest.raises(UsageError) as caught:
        scan("/home/u/my data/hop/x1.mp4", "/home/u/my data/jump/x2.mp4")
    told = str(caught.value)
    assert "l.csv line 1: '/home/u/my data/hop/x1.mp4' is not below the root" in told
    assert "(nor is 'hop/x1.mp4')" in told
    assert "--map-prefix '/home/u/my data=FOLDER'" in told
    assert len(told) < 400
    with pytest.raises(
        UsageError, match=r"first: hop.x1.mp4, tried as hop/x1.mp4\); give .*--root"
    ):
        scan("hop\\x1.mp4", "jump\\x2.mp4")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_forms_of_a_letter(make_files, write, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    path = "caf\u00e9/\u00fcber.mp4"
    root = make_files(unicodedata.normalize(form, path), folder="data")
    text = f"path,label\n/k400/{unicodedata.normalize(other, path)},x\n"
    listing = read_source(write("l.csv", text), root=root)
    assert listing.paths == [unicodedata.normalize(form, path)]
    assert "1 of 1 listed videos were found in another spelling" in listing.notes


def test_case_and_extension(make_files, write):
    root = make_files("Run/X1.MP4", "Run/x3.avi", "Run/x4.mp4", "run/x4.mp4", "air drum/5.mp4")
    text = "run/x1.mp4 0\nrun/x3 0\nRun/x3.mkv 0\nRUN/x4.mp4 0\n./air_drum/5.mp4 0\n"
    listing = read_source(write("l.txt", text), root=root)
    assert listing.paths == ["Run/X1.MP4", "Run/x3.avi", "air drum/5.mp4"]
    # Another extension is another file, and of two spellings none is chosen.
    assert listing.missing == ["Run/x3.mkv", "RUN/x4.mp4"]


@pytest.fixture
def linked(make_files):
    """A root whose class folder and a file are links to another disk."""
    disk = make_files("run/x1.mp4", "hop/x2.mp4", folder="disk")
    root = make_files("real/x3.mp4")
    (root / "run").symlink_to(disk / "run")
    (root / "real" / "x2.mp4").symlink_to("../../disk/hop/x2.mp4")
    (disk / "run" / "up").symlink_to(root)
    (root / "gone.mp4").symlink_to("../.git/annex/objects/1.mp4")
    return root


def test_links_are_followed_when_asked(linked, write):
    assert read_source(linked).ids == ["real/x3.mp4"]
    listing = read_source(linked, follow_links=True)
    assert listing.ids == ["real/x2.mp4", "real/x3.mp4", "run/x1.mp4"]
    assert listing.labels == ["real", "real", "run"]
    assert "left out: links lead back to a folder above them: run/up" in listing.notes
    assert any("(run `git annex get` for them): gone.mp4" in note for note in listing.notes)


def test_a_link_that_was_not_followed_is_named_with_the_flag(linked, write):
    source = write("l.txt", "run/x1.mp4 run\nreal/x2.mp4 hop\n")
    with pytest.raises(UsageError, match=r"run is a link that was not followed; add --follow-l"):
        read_source(source, root=linked)
    assert len(read_source(source, root=linked, follow_links=True).ids) == 2
    source = write("l.txt", "run/x1.mp4 run\nreal/x3.mp4 hop\n")
    told = "run are links that were not followed; add --follow-links"
    assert told in read_source(source, root=linked).notes


def test_a_link_that_was_copied_as_text_is_named(make_files, write):
    root = make_files()
    write("data/train", "../disk2/train")
    with pytest.raises(UsageError, match="train is a file and no folder, as links are where they"):
        read_source(write("l.txt", "train/x1.mp4 run\n"), root=root)


def test_links_in_a_circle_end(make_files):
    one, other = make_files("a.mp4", folder="one"), make_files("b.mp4", folder="other")
    (one / "x").symlink_to(other)
    (other / "y").symlink_to(one)
    assert read_source(one, follow_links=True).ids == ["a.mp4", "x/b.mp4"]


def test_list_and_root_may_be_links(make_files, write, tmp_path):
    make_files("run/x1.mp4", folder="disk")
    (tmp_path / "data").symlink_to("disk")
    (tmp_path / "l.txt").symlink_to(write("elsewhere/list.txt", "run/x1.mp4 run\n"))
    assert read_source(tmp_path / "l.txt", root=tmp_path / "data").ids == ["run/x1.mp4"]


def test_without_a_root_only_folders_that_the_list_names_are_searched(make_files, write):
    """A project's folder may hold anything: environments, stores, other data."""
    make_files("Swing/v_Swing_g01_c01.avi", "venv/lib/v_Swing_g01_c02.avi", "venv/lib/1.png")
    text = "v_Swing_g01_c01.avi 0\nv_Swing_g01_c02.avi 0\n"
    write("data/classes.csv", "id,name\n0,Swing\n")
    source = write("data/l.txt", text)
    listing = read_source(source)
    assert listing.paths == ["Swing/v_Swing_g01_c01.avi"]
    assert not any("left out" in note for note in listing.notes)
    assert len(read_source(source, root=source.parent).paths) == 2


def test_without_a_root_nothing_is_found_below_other_folders(make_files, write):
    make_files("videos/ucf/Swing/v_Swing_g01_c01.avi")
    source = write("data/l.csv", "path,label\nSwing/v_Swing_g01_c01.avi,Swing\n")
    with pytest.raises(UsageError, match=r"with --root: without it, only the folder of the list"):
        read_source(source)
    root = source.parent / "videos" / "ucf"
    assert read_source(source, root=root).ids == ["Swing/v_Swing_g01_c01.avi"]
