"""The commands that filled a store stand on the page of its results, before those that scored."""

import re

from harness.results import append_rows
from harness.results.json_artefacts import add_commands
from tests.harness.results.test_results import make_row
from tests.vifistore.store.conftest import make_whole_store
from vifi.__main__ import run
from vifi.command_line.command_log import COMMANDS_FILE, commands_of
from vifistore.store import open_store


def test_they_come_first_and_once_each(tmp_path, monkeypatch, capsys):
    store, results = make_whole_store(tmp_path / "s.zarr"), tmp_path / "out"
    for name in ("a", "b", "a"):
        words = ["name", str(store.path), "d", "start", name]
        monkeypatch.setattr("sys.argv", ["vifi", *words])
        assert run(words) == 0
    # What failed has made nothing.
    assert run(["name", str(store.path), "d", "nope", "c"]) == 2
    made = [f"vifi name {store.path} d start {name}" for name in "ab"]
    assert commands_of(store) == made
    append_rows(results, [make_row()])
    add_commands(results, ["vifi evaluate S zero-shot"])
    for _ in range(2):
        assert run(["report", str(results), "--store", str(store.path)]) == 0
    page = (results / "index.html").read_text()
    (section,) = re.findall(r'(?s)<ol class="commands">(.*?)</ol>', page.split(">Commands<")[-1])[
        :1
    ]
    found = re.findall(r"<li[^>]*><code>(.*?)</code>", section)
    assert found[:3] == [*made, "vifi evaluate S zero-shot"]


def test_a_torn_line_and_no_file_are_no_obstacle(tmp_path):
    store = open_store(make_whole_store(tmp_path / "s.zarr").path)
    assert commands_of(store) == []
    folder = store.backend.cache_folder
    folder.mkdir(exist_ok=True)
    (folder / COMMANDS_FILE).write_text('"vifi scan S v"\n{}\n"vifi ext')
    assert commands_of(store) == ["vifi scan S v"]
