from reports.class_answers import answer_tables
from reports.figures.confusion import MAX_CLASSES, confusion_matrices, draw_confusion
from reports.measurements import measurements
from tests.reports.conftest import NASTY, make_row
from tests.reports.test_class_answers import keep


def test_a_confusion_matrix_is_in_percent_of_its_rows(tmp_path, svg_texts):
    labels, predicted = ["a"] * 4 + [NASTY] * 3, ["a", "a", "a", NASTY, "a", "a", "a"]
    row = keep(tmp_path, make_row("clip"), labels, predicted)
    (matrix,) = confusion_matrices(answer_tables(tmp_path, measurements([row])))
    assert matrix.classes == sorted(["a", NASTY])
    a, nasty = (matrix.classes.index(name) for name in ("a", NASTY))
    assert matrix.shares[a].tolist()[a] == 75
    assert matrix.shares[a, nasty] == 25
    assert matrix.shares[nasty, a] == 100
    (path,) = draw_confusion([matrix], tmp_path / "confusion")
    assert {"a", "taken for", "clip: shapes, test"} <= set(svg_texts(path))


def test_of_many_classes_those_taken_wrong_are_shown(tmp_path):
    labels = [f"c{number:03d}" for number in range(80)]
    predicted = [name if number < 60 else "c000" for number, name in enumerate(labels)]
    row = keep(tmp_path, make_row("clip"), labels, predicted)
    (matrix,) = confusion_matrices(answer_tables(tmp_path, measurements([row])))
    assert (len(matrix.classes), matrix.left_out) == (MAX_CLASSES, 80 - MAX_CLASSES)
    assert set(labels[60:]) <= set(matrix.classes)
