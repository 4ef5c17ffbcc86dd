import pytest

from reports.page.extras import picture_path, read_extras
from vifistore.errors import DamagedError


def test_everything_is_optional(tmp_path):
    found = read_extras(tmp_path)
    assert not any(vars(found).values())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gallery.json", "{}"),
        ("gallery.json", "["),
        ("gallery.json", '[{"query": "a"}]'),
        ("gallery.json", '[{"query": "a", "hits": [{"rank": "first"}]}]'),
        ("attention.json", '[{"id": "a"}]'),
        ("provenance.json", '{"checkpoints": {}}'),
        ("provenance.json", '{"checkpoints": [{"digest": "a"}]}'),
        ("provenance.json", '{"versions": []}'),
        ("throughput.json", '["a"]'),
        ("commands.json", "{}"),
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, name, text):
    (tmp_path / "artefacts").mkdir()
    (tmp_path / "artefacts" / name).write_text(text)
    with pytest.raises(DamagedError, match=rf"{name}.*mend the file or remove it$"):
        read_extras(tmp_path)


def test_only_pictures_inside_the_folder_are_shown(tmp_path):
    folder = tmp_path / "results"
    (folder / "a").mkdir(parents=True)
    for path in (folder / "a" / "b.png", folder / "secret.txt", tmp_path / "outside.png"):
        path.write_bytes(b"x")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    assert picture_path(folder, "a/b.png") == "a/b.png"
    for name in ("secret.txt", "../outside.png", "link.png", "gone.png", "", None, 3, ["a"]):
        assert picture_path(folder, name) == ""
    for name in ("a\0b.png", "a" * 5000 + ".png", "a/" * 3000 + "b.png"):
        assert picture_path(folder, name) == ""
    assert picture_path(folder, str(tmp_path / "outside.png")) == ""
    assert picture_path(folder, "a/../../outside.png") == ""
