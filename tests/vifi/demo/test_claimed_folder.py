"""What `vifi demo` makes of the folder that it is given: a demo's is cleared for another size."""

import os
from pathlib import Path

import pytest

from vifi.__main__ import run
from vifi.demo import verb
from vifi.demo.verb import run_demo
from vifi.study.outcome import StudyOutcome
from vifistore.errors import UsageError

QUICK = Path(verb.__file__).parent / "demo-quick.toml"


@pytest.fixture
def old(tmp_path) -> Path:
    """What is left of a demo of another size."""
    (tmp_path / "old" / "runs").mkdir(parents=True)
    (tmp_path / "old" / "runs" / "log.csv").touch()
    (tmp_path / "old" / "frames").symlink_to(tmp_path)
    (tmp_path / "old" / verb._MARK).write_text("demo")
    return tmp_path / "old"


@pytest.fixture
def no_steps(monkeypatch):
    """A study fails before its first step."""
    failed = StudyOutcome(failed={"scan": "nothing is done here"})
    monkeypatch.setattr("vifi.study.verb.run_study", lambda study, places: failed)


def left_in(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title = 'nothing to show'", "asks no question"),
        (f"base = '{QUICK}'\n[train]\nepoks = 3", "--epoks"),
        ("[", "is no TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_study_leaves_a_demo_as_it_is(old, tmp_path, text, told):
    before = left_in(old)
    if text is not None:
        (tmp_path / "broken.toml").write_text(text)
    with pytest.raises(UsageError, match=told):
        run_demo(tmp_path / "broken.toml", old)
    assert left_in(old) == before


def test_so_does_a_wrong_flag(old):
    before = left_in(old)
    assert run(["demo", "--quick", "--out", str(old), "--epoks", "3"]) == 2
    assert left_in(old) == before


@pytest.mark.parametrize("mark", [b"demo", b"", b"\xff"])
@pytest.mark.parametrize("is_link", [True, False])
def test_a_demo_of_another_size_begins_anew(old, tmp_path, no_steps, is_link, mark):
    (old / verb._MARK).write_bytes(mark)
    (tmp_path / "kept").touch()
    (tmp_path / "link").symlink_to(old)
    assert run_demo(QUICK, tmp_path / "link" if is_link else old) == 1
    assert left_in(old) == {verb._MARK: b"demo-quick"}
    assert (tmp_path / "kept").exists()


def test_a_clearing_that_was_stopped_goes_on(old, no_steps, monkeypatch):
    def stop(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(verb.shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            run_demo(QUICK, old)
    # Not even the demo that it was takes what is left for its own.
    assert run_demo(QUICK.with_name("demo.toml"), old) == 1
    assert left_in(old) == {verb._MARK: b"demo"}


def test_a_folder_of_something_else_is_left_alone(tmp_path, no_steps):
    (tmp_path / "thesis.tex").write_text("do not lose me")
    for make_mark in (lambda path: None, Path.mkdir, os.mkfifo):
        make_mark(tmp_path / verb._MARK)
        with pytest.raises(UsageError, match="not a demo"):
            run_demo(QUICK, tmp_path)
        assert left_in(tmp_path) == {"thesis.tex": b"do not lose me"}
        if (tmp_path / verb._MARK).is_dir():
            (tmp_path / verb._MARK).rmdir()
    with pytest.raises(UsageError, match="is no folder; give another --out"):
        run_demo(QUICK, tmp_path / "thesis.tex")


def test_of_a_world_with_an_unknown_dataset_nothing_is_made(tmp_path, capsys):
    words = ("--datasets", "mini-ssv2", "mini-x", "--other-train-clips", "1", "--classes", "1")
    assert run(["demo", "--world", "--out", str(tmp_path / "w"), *words]) == 2
    assert "unknown dataset 'mini-x'" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
