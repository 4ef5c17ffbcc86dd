"""`vifi report`: where its store may be."""

import pytest

from harness.results import append_rows
from tests.reports.conftest import make_row
from vifi.__main__ import run
from vifistore.errors import UsageError


def test_a_store_may_be_a_url(tmp_path, monkeypatch, capsys):
    def refuse(location):
        raise UsageError(f"asked for {location}")

    monkeypatch.setattr("vifistore.store.open_store", refuse)
    append_rows(tmp_path, [make_row()])
    assert run(["report", str(tmp_path), "--store", "s3://bucket/S.zarr"]) == 2
    assert "asked for s3://bucket/S.zarr" in capsys.readouterr().err


def test_flags_and_a_file_say_what_tables_show(said, tmp_path):
    results, file = tmp_path / "out", tmp_path / "tables.toml"
    append_rows(results, [make_row("clip"), make_row("full", split="a"), make_row("third")])
    file.write_text('[tables]\nlabels = { clip = "CLIP" }\n[tables.zero-shot]\nrows = ["*"]\n')
    flags = ("--tables", file, "--without", "third*", "--rename", "full=Ours", "--only", "zero*")
    code, _, error = said("report", results, *flags)
    assert code == 0, error
    text = (results / "zero-shot.md").read_text()
    assert [name in text for name in ("CLIP", "Ours", "third")] == [True, True, False]
    code, _, error = said("report", results, "--only", "gone")
    assert "there is no table 'gone'; there are: zero-shot" in error
    assert not (results / "zero-shot.md").exists()
    assert "removed what an earlier report wrote" in error


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--rename", "x"), "--rename 'x' is no OLD=NEW"),
        (("--missing", "x"), "missing is 'x'; give commands or dash"),
        (("--tables", "none.toml"), "none.toml cannot be read"),
    ],
)
def test_wrong_flags(said, tmp_path, flags, told):
    append_rows(tmp_path, [make_row()])
    code, _, error = said("report", tmp_path, *flags)
    assert code == 2
    assert told in error
    assert not list(tmp_path.glob("*.md"))
