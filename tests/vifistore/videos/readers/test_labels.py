import pytest

from vifistore.errors import UsageError
from vifistore.videos.listing import read_source

KICK = "x_kick_f_cm_np1_ri_med_5.avi"
KICK_BALL = "y_kick_ball_f_cm_np1_ri_med_5.avi"


@pytest.fixture
def hmdb51(make_files, write):
    """Two videos, and a published class file that has the names of their classes swapped."""
    make_files(KICK, KICK_BALL)
    write("data/labels.csv", "id,name\n0,kick ball\n1,kick\n")
    return write("data/list.txt", f"{KICK} 0\n{KICK_BALL} 1\n")


def test_one_class_file_is_taken_as_it_is(hmdb51):
    assert read_source(hmdb51).labels == ["kick ball", "kick"]


def test_of_several_the_file_names_decide_and_one_spelling_is_kept(hmdb51, write):
    write("data/label_map.txt", "kick\nkick_ball\n")
    listing = read_source(hmdb51)
    assert listing.labels == listing.class_names == ["kick", "kick ball"]
    told = "of labels.csv, label_map.txt, the file names contradict label_map.txt least"
    assert any(told in note for note in listing.notes)


def test_ids_that_begin_with_one_are_held_against_names_as_well(make_files, write):
    make_files(KICK, KICK_BALL)
    write("data/labels.csv", "id,name\n1,kick ball\n2,kick\n")
    write("data/label_map.txt", "1 kick\n2 kick_ball\n")
    source = write("data/list.txt", f"{KICK} 1\n{KICK_BALL} 2\n")
    assert read_source(source).labels == ["kick", "kick ball"]


def test_class_file_that_is_too_short_is_not_chosen(hmdb51, write):
    write("data/label_map.txt", "kick\n")
    assert read_source(hmdb51).labels == ["kick ball", "kick"]


def test_names_that_say_nothing_decide_nothing(make_files, write):
    make_files("a.avi")
    write("data/labels.csv", "id,name\n0,hop\n")
    write("data/label_map.txt", "run\n")
    source = write("data/list.txt", "a.avi 0\n")
    with pytest.raises(UsageError, match=r"labels\.csv, label_map\.txt name different classes"):
        read_source(source)


def test_two_writings_of_a_number_are_one_class(make_files, write):
    root = make_files("a.avi", "b.avi")
    listing = read_source(write("list.txt", "a.avi 01\nb.avi 1\n"), root=root)
    assert listing.class_names == ["1"]


CLASSES = "id,name\n0,run\n1,hop\n"


@pytest.mark.parametrize("labels", [("0.0", "1.0"), ("00", "01"), ("0", "1."), ("run", "HOP")])
def test_numbers_however_they_are_written(make_files, write, labels):
    root = make_files("a.mp4", "b.mp4")
    write("classes.csv", CLASSES)
    text = "path,label\na.mp4,{}\nb.mp4,{}\n".format(*labels)
    listing = read_source(write("l.csv", text), root=root)
    assert listing.labels == ["run", "hop"]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (("0", "run"), r"neither all whole numbers \('0'\) nor all names \('run'; l\.csv line 3\)"),
        (("1.0", "1.5"), r"\('1\.0'\) nor all names \('1\.5'; l\.csv line 3\)"),
        (("0.25", "0.75"), r"whole numbers \(none\) nor all names \('0\.25', '0\.75'; l"),
    ],
)
def test_a_mixture_of_numbers_and_names_is_refused(make_files, write, labels, told):
    write("classes.csv", CLASSES)
    text = "path,label\na.mp4,{}\nb.mp4,{}\n".format(*labels)
    with pytest.raises(UsageError, match=told) as caught:
        read_source(write("l.csv", text), root=make_files("a.mp4", "b.mp4"))
    assert len(str(caught.value)) < 400


def test_classes_may_be_called_by_digits_where_a_class_file_says_so(make_files, write):
    root = make_files("a.mp4", "b.mp4")
    classes = write("c.txt", "x\n0\n1\n")
    source = write("l.csv", "path,label\na.mp4,0\nb.mp4,x\n")
    assert read_source(source, root=root, labels=classes).labels == ["0", "x"]


def test_the_first_names_of_a_class_file_are_shown(make_files, write):
    write("data/classes.csv", CLASSES)
    notes = read_source(write("data/l.txt", "a.mp4 1\n"), root=make_files("a.mp4")).notes
    assert "2 classes are named by classes.csv: 'run', 'hop'" in notes
