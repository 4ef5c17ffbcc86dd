"""`vifi report`: where its store may be."""

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
