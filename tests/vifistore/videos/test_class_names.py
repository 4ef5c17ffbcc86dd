import pytest

from vifistore.errors import UsageError
from vifistore.videos.class_names import read_class_file


@pytest.mark.parametrize(
    ("file", "text", "first_id"),
    [
        ("labels.csv", "id,name\r\n0,brush hair\r\n1,cart wheel\r\n", 0),
        ("labels.csv", '\ufeffid,name\n1,"cart wheel"\n0, brush hair\n', 0),
        ("classInd.txt", "1 brush hair\r\n2 cart wheel\r\n", 1),
        ("label_map.txt", "brush hair\ncart wheel\n\n", 0),
        ("labels.json", '{"cart wheel": "1", "brush hair": 0}', 0),
        ("labels.json", '["brush hair", "cart wheel"]', 0),
    ],
)
def test_forms_of_a_class_file(write, file, text, first_id):
    read = read_class_file(write(file, text))
    assert read.names == ["brush hair", "cart wheel"]
    assert read.first_id == first_id
    assert read.name(first_id + 1, "x") == "cart wheel"
    for id in (first_id - 1, first_id + 2):
        with pytest.raises(UsageError, match=rf"line 9: label {id} is not in {file}.*--labels"):
            read.name(id, "line 9")


def test_something_something_templates_are_in_the_order_of_their_ids(write):
    path = write("category.txt", "Putting [something] here\nPutting [part] away\nPutting a thing\n")
    names = ["Putting a thing", "Putting part away", "Putting something here"]
    assert read_class_file(path).names == names


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("l.csv", "id,name\n0,a\n2,b\n", "without gaps"),
        ("l.csv", "id,name\n0,a\n0,b\n", "without gaps"),
        ("l.csv", "id,name\n5,a\n", "from 0"),
        ("l.csv", "id,name\n0,a\n1,a\n", "named twice: a"),
        ("l.csv", "id,name\n0,a\n1,\n", "without a name"),
        ("l.csv", "id,name\n0,a\nx,b\n", "line 3"),
        ("l.csv", "id,name\n0,a,b\n", "line 2"),
        ("l.csv", "id,name\n", "names no class"),
        ("l.json", '{"a": null}', "no class names"),
        ("l.json", '{"a": 1e999}', "no class names"),
        ("l.json", "3", "no class names"),
        ("l.json", "[" * 100_000, "no class names"),
        ("l.txt", "1 a\n" + "9" * 5000 + " b\n", ""),
    ],
)
def test_bad_class_file_is_refused(write, file, text, told):
    if told:
        with pytest.raises(UsageError, match=told):
            read_class_file(write(file, text))
    else:
        assert len(read_class_file(write(file, text)).names) == 2
