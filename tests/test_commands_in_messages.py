"""A command in a message can be pasted: what came from outside is quoted in it."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from harness.results import append_rows
from tests.harness.results.test_results import make_row
from tests.test_house import ROOT, modules
from tests.vifistore.store.conftest import make_whole_store
from vifi.verbs.export_results import main as export_results
from vifi.verbs.gc import main as gc
from vifistore.errors import VifiError
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

HOLE = "\0"
# Up to where a sentence goes on: what follows is no part of the command.
COMMAND = re.compile(rf"(?:\bvifi [a-z][a-z-]*|\bclip_benchmark)(?: [^;,.()\0]*)?{HOLE}")
REMOVAL = re.compile(rf"\bremove {HOLE}.*\bvifi ")


def texts(path: Path) -> list[tuple[int, str]]:
    """Every text of a file with its line, a HOLE for what is filled in."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            parts = [p.value if isinstance(p, ast.Constant) else HOLE for p in node.values]
            found.append((node.lineno, "".join(parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, re.sub(r"%[sdr]", HOLE, node.value)))
    return found


def bare_commands(path: Path) -> list[str]:
    """Commands of a file's messages that something is filled into as it is."""
    return [
        f"{path.name}:{line} {text.replace(HOLE, '{}')}"
        for line, text in texts(path)
        if COMMAND.search(text) or REMOVAL.search(text)
    ]


def test_no_message_fills_a_name_into_a_command_as_it_is():
    assert [line for path in modules(ROOT).values() for line in bare_commands(path)] == []


def test_a_bare_name_in_a_command_is_noticed(tmp_path):
    path = tmp_path / "m.py"
    lines = [
        'f"run: vifi verify {folder}"',
        'log("see: vifi info %s --quarantine", folder)',
        'f"remove {folder}/x, then: vifi scan S"',
        'f"draw them with: {shell(1)}; {what} is {name}"',
        'f"run vifi extract again; {name} is {what}"',
    ]
    path.write_text("\n".join(lines))
    assert sorted(line.split()[0] for line in bare_commands(path)) == ["m.py:1", "m.py:2", "m.py:3"]


@pytest.fixture(params=["$(touch X)", "a b;touch X", "`touch X`", "it's"])
def hostile(request, tmp_path, monkeypatch) -> Path:
    """A store in a folder whose name a shell would run."""
    monkeypatch.chdir(tmp_path)
    return make_whole_store(tmp_path / request.param / "s.zarr").path


def pasted(text: str, folder: Path) -> list[str]:
    """The words that a shell makes of the command in a message; nothing else may happen by it."""
    command = text[re.search(r"\b(vifi|clip_benchmark) [a-z-]+ ", text).start() :]
    script = f'vifi() {{ printf \'%s\\n\' "$@"; }}; clip_benchmark() {{ vifi "$@"; }}; {command}'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert not Path("X").exists(), text
    words = done.stdout.splitlines()
    assert str(folder) in words, (text, words)
    return words


def test_pasting_what_an_error_says_runs_no_name(hostile):
    with pytest.raises(VifiError) as unknown:
        open_store(hostile).videos("e")
    assert pasted(str(unknown.value), hostile)[0] == "scan"
    missing = hostile.with_name("none.zarr")
    with pytest.raises(VifiError) as absent:
        open_store(missing)
    assert pasted(str(absent.value), missing)[0] == "scan"
    (hostile / "videos" / "d" / "id" / "c.0").unlink()
    with pytest.raises(VifiError) as damaged:
        open_store(hostile).videos("d")
    assert pasted(str(damaged.value), hostile)[0] == "verify"


def test_pasting_what_verify_says_runs_no_name(hostile):
    (hostile / "features" / "d").joinpath("0" * 12).mkdir()
    for chunk in sorted(hostile.rglob("c.0*")):
        chunk.unlink()
    found = [p for p in verify_store(open_store(hostile)) if re.search(r"\bvifi ", p.remedy)]
    assert len({problem.where.split("/")[0] for problem in found}) >= 3
    for problem in found:
        pasted(problem.remedy, hostile)


def test_pasting_what_a_verb_says_runs_no_name(hostile, tmp_path, capsys):
    results = tmp_path / "$(touch X)"
    append_rows(results, [make_row(classifier="text")])
    export_results([str(results)])
    assert pasted(capsys.readouterr().out, results / "clip_benchmark")[0] == "build"
    (hostile / "features" / "d" / "0123456789ab").mkdir()
    (hostile / "features" / "d" / "0123456789ab" / "zarr.json").write_text(
        (hostile / "features" / "zarr.json").read_text()
    )
    gc([str(hostile)])
    assert pasted(capsys.readouterr().out, hostile)[:1] == ["gc"]
