import pytest

from vifistore.errors import UsageError
from vifistore.videos.class_files import read_class_file


@pytest.mark.parametrize(
    ("file", "text", "first_id"),
    [
        ("labels.csv", "id,name\r\n0,brush hair\r\n1,cart wheel\r\n", 0),
        ("labels.csv", '\ufeffid,name\n1,"cart wheel"\n0, brush hair\n', 0),
        ("classInd.txt", "1 brush hair\r\n2 cart wheel\r\n", 1),
        ("label_map.txt", "brush hair\ncart wheel\n\n", 0),
        ("labels.json", '{"cart wheel": "1", "brush hair": 0}', 0),
        ("labels.json", '["brush hair", "cart wheel"]', 0),
        # A header in whatever words, or none; ids behind the names; other delimiters.
        ("l.csv", "label,name\n0,brush hair\n1,cart wheel\n", 0),
        ("l.csv", "0,brush hair\n1,cart wheel\n", 0),
        ("l.csv", "Nummer;Klasse\r\n0;brush hair\r\n1;cart wheel\r\n", 0),
        ("l.csv", "\u540d\u79f0,\u7f16\u53f7\nbrush hair,0\ncart wheel,1\n", 0),
        ("l.csv", "class_id,class_name,videos\n0,brush hair,70\n1,cart wheel,70\n", 0),
        ("l.tsv", "1\tbrush hair\n2\tcart wheel\n", 1),
        ("l.csv", "sep=;\n0.0;brush hair;;\n1.0;cart wheel;;\n", 0),
        ("l.csv", "name\nbrush hair\ncart wheel\n", 0),
        ("l.txt", "0: brush hair\n1: cart wheel\n", 0),
        ("l.txt", "# made by hand\nid name\n00 'brush hair'\n01 'cart wheel'\n", 0),
        ("l.txt", "brush hair 0\ncart wheel 1\n", 0),
        ("l.txt", "1. brush hair\n2. cart wheel\n", 1),
        # JSON turned round, with quotes inside, or inside another document.
        ("l.json", '{"0": "brush hair", "1": "cart wheel"}', 0),
        ("l.json", '{"\\"brush hair\\"": 0, "\'cart wheel\'": 1.0}', 0),
        ("config.json", '{"id2label": {"0": "brush hair", "1": "cart wheel"}, "x": []}', 0),
        ("c.json", '{"labels": ["brush hair", "cart wheel"], "database": {}}', 0),
        ("c.json", '[{"id": 1, "name": "brush hair"}, {"id": 2, "name": "cart wheel"}]', 1),
        ("d.json", '{"features": {"label": {"names": ["brush hair", "cart wheel"]}}}', 0),
        ("data.yaml", "names:\n  0: brush hair\n  1: cart wheel\n", 0),
        ("c.txt", '{"brush hair": 0, "cart wheel": 1}', 0),
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
        ("l.csv", "id,name\n0,a\nx,b\n", "'x' in 'x,b' is no whole number"),
        ("l.csv", "id,name\n0,a,b\n", "other columns below its header 'id,name'"),
        ("l.csv", "0,a,x\n1,b,y\n", "which column names the classes is not clear in '0,a,x'"),
        ("l.tsv", "a\tx\nb\ty\n", "which column names the classes is not clear in 'a,x'"),
        ("l.csv", "0,a\n2,b\n7,c\n9,d\n", r"\(read as 0 'a', 2 'b', 7 'c' and 1 more\)"),
        ("l.json", '{"0": 5, "1": 7}', r"no class names \(it holds '0', '1'\)"),
        ("l.json", '{"v1.mp4": "run", "v2.mp4": "hop"}', r"it holds 'v1.mp4', 'v2.mp4'"),
        ("l.json", "{", "is no JSON"),
        ("l.yaml", "nc: 2\nnames: [a, b]\n", "YAML is read as `id: name` lines alone"),
        ("l.xlsx", "PK\x03\x04...", "is a spreadsheet or an archive; save it as CSV text"),
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
        with pytest.raises(UsageError, match=told) as caught:
            read_class_file(write(file, text))
        assert len(str(caught.value)) < 400
    else:
        assert len(read_class_file(write(file, text)).names) == 2


@pytest.mark.parametrize(
    "text", ["0,a, with a comma\n1,b\n2,c\n", '0,"a, with a comma"\n1,b\n2,c\n']
)
def test_name_with_a_comma(write, text):
    assert read_class_file(write("l.csv", text)).names == ["a, with a comma", "b", "c"]


def test_names_that_end_in_numbers_stay_names(write):
    names = ["pose 3", "pose 7", "2 steps"]
    assert read_class_file(write("l.txt", "\n".join(names))).names == names


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_of_spreadsheets(write, encoding):
    path = write("l.csv", "id;name\r\n0;caf\u00e9\r\n1;b\r\n".encode(encoding))
    assert read_class_file(path).names == ["caf\u00e9", "b"]
