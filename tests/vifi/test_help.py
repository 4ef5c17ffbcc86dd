"""Help speaks a user's words; booleans, repeated flags and the shell's completion."""

import contextlib
import functools
import io
import re
import subprocess
import sys

import pytest

from harness.fusion import FUSIONS
from vifi.__main__ import VERBS, run
from vifi.bench.verb import BENCHMARKS
from vifi.command_line.help import _GROUPS, _WORDS
from vifistore.training.presets import PRESETS

PYTHON = re.compile(r"\b(STR|INT|FLOAT|None|VALUE)\b|\{,")
COMMANDS = [
    *((verb,) for verb in VERBS if verb not in ("train", "bench")),
    *(("train", preset) for preset in PRESETS),
    *(("bench", name) for name in BENCHMARKS),
]


@functools.cache
def help_of(*words: str) -> str:
    """The help of a command."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        run([*words, "--help"])
    return said.getvalue()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_type_of_python_is_shown(words):
    text = help_of(*words)
    shown = [line for line in text.splitlines() if re.match(r"usage|  [-\[A-Z]", line)]
    assert len(shown) > 1
    assert [line for line in shown if PYTHON.search(line)] == []
    assert "(default: '')" not in text
    assert not re.search(r"--(\S+), --no-\1", text)


def test_help_texts_fill_their_lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100000")
    help_of.cache_clear()
    text = help_of("scan")
    help_of.cache_clear()
    assert "the folder that holds a file); tar shards of videos" in text
    assert "(seconds, of a part of the file), a row per video" in text


def test_a_word_that_is_no_choice_is_told_without_python(capsys):
    assert run(["index", "S.zarr", "--kind", "foo"]) == 2
    told = "vifi: --kind is 'foo'; give one of flat, ivf, hnsw; see vifi index --help\n"
    assert capsys.readouterr().err == told


def test_positional_arguments_say_what():
    for words, usage in {
        ("extract",): "[OPTIONS] STORE",
        ("scan",): "[OPTIONS] STORE [SOURCE]",
        ("evaluate",): "[OPTIONS] STORE PROTOCOL",
        ("name",): "STORE DATASET ID NAME [--force]",
        ("watch",): "[OPTIONS] FOLDER STORE",
        ("convert",): "[OPTIONS] CHECKPOINT OUT",
        ("report",): "[OPTIONS] RESULTS",
    }.items():
        (line,) = (line for line in help_of(*words).splitlines() if line.startswith("usage:"))
        assert line.endswith(usage)


@pytest.mark.parametrize("verb", ["evaluate", "ablate"])
def test_every_fusion_is_named(verb):
    said = help_of(verb).partition("--fusion ")[2].partition(" --")[0]
    assert [name for name in FUSIONS if name not in said] == []


def test_help_keeps_what_a_verb_says_of_itself():
    text = " ".join(help_of("evaluate").split())
    assert "Score cached features by one of the paper's protocols." in text
    assert "--features NAME ..." in text
    assert "--results DIR" in text
    assert "(default: base_val)" in text
    assert "(required)" in text


def test_a_boolean_is_shown_in_the_form_that_changes_it():
    text = help_of("extract")
    assert "--no-compile " in text
    assert "--compile " not in text
    assert "(done unless this is given)" in text
    assert "--dry-run " in text
    assert "--no-dry-run" not in text
    # A preset has other defaults.
    assert "--no-mixing " in help_of("train", "few_shot")


def test_many_options_stand_in_groups():
    text = help_of("train", "few_shot")
    groups = re.findall(r"^ ([a-z ]+) options +$", text, flags=re.M)
    assert groups == [name for name in _GROUPS if name != "following"]
    behind = text.split(" machine options ")[1].split(" options ")[0]
    assert "--device DEVICE" in behind
    assert "--learning-rate" not in behind


def test_every_word_and_group_is_of_an_option_that_there_is():
    text = "".join(help_of(*words) for words in COMMANDS)
    fields = [field for table in (_WORDS, _GROUPS) for names in table.values() for field in names]
    flags = {field: f"-{field.split('.')[-1].replace('_', '-')} " for field in fields}
    assert [field for field, flag in flags.items() if flag not in text.replace("\n", " ")] == []


def test_both_forms_of_a_boolean_are_taken_and_the_last_flag_counts(tmp_path, capsys):
    words = ["info", str(tmp_path / "none.zarr"), "--no-json", "--json", "--no-json"]
    assert run(words) == 1
    assert "there is no store" in capsys.readouterr().err
    sized = ["extract", str(tmp_path / "none.zarr"), "--dataset", "d", "--model", "vifi-tiny"]
    assert run([*sized, "--pretrained", "none", "--frames", "0", "--frames", "-1"]) == 2
    error = capsys.readouterr().err
    assert "--frames is given more than once; the last one counts" in error
    assert "--frames is -1; give 1 or more" in error


@pytest.mark.parametrize("verb", ["extract", "watch"])
def test_more_frames_than_a_store_counts_are_refused(tmp_path, capsys, verb):
    words = ["extract", str(tmp_path / "none.zarr"), "--model", "vifi-tiny", "--pretrained", "none"]
    if verb == "watch":
        words = ["watch", str(tmp_path / "run"), str(tmp_path / "none.zarr")]
    assert run([*words, "--dataset", "d", "--frames", "99999999999"]) == 2
    error = capsys.readouterr().err
    assert "--frames is 99999999999; give 65535 or fewer" in error


def test_the_version_is_said(capsys):
    assert run(["--version"]) == 0
    assert re.fullmatch(r"vifistore \d+\.\d+\.\S+\n", capsys.readouterr().out)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """What bash reads to complete."""
    path = tmp_path_factory.mktemp("completion") / "vifi.bash"
    command = [sys.executable, "-m", "vifi", "--print-completion", "bash"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    return path


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("vifi ev", "evaluate"),
        ("vifi evaluate S.zarr zero-shot --dat", "--dataset"),
        ("vifi train few", "few_shot"),
        ("vifi train few_shot S.zarr --learn", "--learning-rate"),
        ("vifi bench dec", "decode"),
        ("vifi extract S.zarr --no-", "--no-compile"),
    ],
)
def test_bash_completes(line, completed, script):
    ask = (
        f"source {script}; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}}-1)); "
        f'COMP_LINE="{line}"; COMP_POINT={len(line)}; '
        '_tyro_vifi vifi "${COMP_WORDS[COMP_CWORD]}"; echo "${COMPREPLY[*]}"'
    )
    done = subprocess.run(["bash", "-c", ask], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [completed]


def test_another_shell_is_refused(capsys):
    assert run(["--print-completion", "fish"]) == 2
    assert "unknown shell 'fish'. There are: bash, tcsh, zsh" in capsys.readouterr().err
