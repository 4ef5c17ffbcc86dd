"""The command line: documents, exit codes, and one clear line for whatever is wrong."""

import json
import os
import signal
import subprocess
import sys

import pytest
import zarr

from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import VERBS, run, usage
from vifistore.errors import UsageError
from vifistore.store import open_store

MODEL = ("--model", "vifi-tiny", "--pretrained", "none")
EXTRACT = (*MODEL, "--frames", "2", "--precision", "fp32", "--device", "cpu")


@pytest.fixture
def clips(tmp_path):
    """Four clips in two class folders."""
    for number in range(4):
        write_clip(tmp_path / "v" / "ab"[number % 2] / f"{number}.mp4", seed=number, num_frames=5)
    return tmp_path / "v"


@pytest.fixture
def said(capsys):
    """Run a command line; return its exit code, standard output and the last line of its errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, (captured.err.strip().splitlines() or [""])[-1]

    return call


def test_the_whole_line(said, clips, tmp_path):
    store, results = tmp_path / "s.zarr", tmp_path / "results"
    assert said("scan", store, clips, "--dataset", "d")[0] == 0
    assert said("extract", store, "--dataset", "d", *EXTRACT)[0] == 0
    code, out, _ = said("info", store, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["datasets"]["d"]["videos"] == 4
    (features,) = document["datasets"]["d"]["features"]
    assert (features["sealed"], features["names"]) == (True, ["vifi-tiny@random.2f"])
    scored = ("--dataset", "d", "--features", features["names"][0], "--results", results)
    code, out, _ = said("evaluate", store, "zero-shot", *scored, "--json")
    assert code == 0
    rows = json.loads(out)["rows"]
    assert {"top1"} <= {row["metric"] for row in rows}
    assert said("ablate", store, *scored)[0] == 0
    template = ("--template", "a video of {}")
    assert said("texts", store, "--dataset", "d", *MODEL, *template)[0] == 0
    assert said("evaluate", store, "zero-shot", *scored, *template)[0] == 0
    code, _, error = said("evaluate", store, "zero-shot", *scored)
    assert code == 2
    assert "several text sets fit" in error
    assert said("report", results)[0] == 0
    assert (results / "index.html").is_file()
    assert said("name", store, "d", features["id"], "mine")[0] == 0
    # Two names of the only set, which need not be named.
    for words in (("evaluate", store, "zero-shot"), ("ablate", store)):
        assert said(*words, "--dataset", "d", *template)[0] == 0
    out = tmp_path / "out.h5"
    assert said("export", store, "--dataset", "d", "--format", "hdf5", "--out", out)[0] == 0


def test_texts_are_made_when_evaluation_lacks_them(said, clips, tmp_path):
    store = tmp_path / "s.zarr"
    said("scan", store, clips, "--dataset", "d")
    said("extract", store, "--dataset", "d", *EXTRACT)
    scored = ("--dataset", "d", "--features", "vifi-tiny@random.2f")
    code, out, _ = said("evaluate", store, "zero-shot", *scored, "--template", "{}", "--json")
    assert code == 0
    assert {row["template"] for row in json.loads(out)["rows"]} == {"{}"}


def test_descriptions_are_encoded_and_not_taken_for_class_names(said, clips, tmp_path):
    store, path = tmp_path / "s.zarr", tmp_path / "d.json"
    said("scan", store, clips, "--dataset", "d")
    said("extract", store, "--dataset", "d", *EXTRACT)
    path.write_text(json.dumps({"a": ["red things", "a wall"], "b": "blue things", "c": "more"}))
    given = ("texts", store, "--dataset", "d", *MODEL, "--descriptions", path)
    code, out, _ = said(*given, "--json")
    (made,) = json.loads(out)["texts"]
    assert (code, made["classes"]) == (0, 2)
    texts = open_store(store).texts(made["id"])
    assert texts.attrs["descriptions"] == [["red things", "a wall"], ["blue things"]]
    assert not texts.embeddings[1, 1].any()
    assert json.loads(said(*given, "--json")[1])["texts"] == [made]
    scored = ("--dataset", "d", "--features", "vifi-tiny@random.2f", "--json")
    rows = json.loads(said("evaluate", store, "zero-shot", *scored)[1])["rows"]
    assert made["id"] not in {row["text_set"] for row in rows}
    assert said("verify", store)[0] == 0
    path.write_text('{"a": ["x"]}')
    assert said(*given)[::2] == (
        2,
        "vifi: descriptions lack 1 of 2 classes (b); write texts of each",
    )
    assert said(*given, "--template", "{}")[0] == 2


def test_quarantined_videos_end_in_3(said, clips, tmp_path):
    (clips / "a" / "bad.mp4").write_text("no video")
    said("scan", tmp_path / "s.zarr", clips, "--dataset", "d")
    code, _, error = said("extract", tmp_path / "s.zarr", "--dataset", "d", *EXTRACT)
    assert code == 3
    assert "1 videos are quarantined" in error
    _, out, _ = said("info", tmp_path / "s.zarr", "--quarantine")
    assert "a/bad.mp4: not a video" in out


def test_dry_run_writes_nothing(said, clips, tmp_path):
    store = tmp_path / "s.zarr"
    said("scan", store, clips, "--dataset", "d")
    before = sorted(store.rglob("*"))
    code, out, _ = said("extract", store, "--dataset", "d", *EXTRACT, "--dry-run")
    assert code == 0
    assert out.startswith("4 of 4 videos to do")
    assert sorted(store.rglob("*")) == before


@pytest.fixture
def broken(tmp_path, clips, said):
    """Stores and sources to go wrong with."""
    (tmp_path / "empty").mkdir()
    write_clip(tmp_path / "flat" / "x.mp4", seed=0, num_frames=5)
    zarr.create_group(tmp_path / "other.zarr")
    assert said("scan", tmp_path / "s.zarr", clips, "--dataset", "d")[0] == 0
    assert said("scan", tmp_path / "flat.zarr", tmp_path / "flat", "--dataset", "d")[0] == 0
    assert said("extract", tmp_path / "flat.zarr", "--dataset", "d", *EXTRACT)[0] == 0
    return tmp_path


ZERO_SHOT = ("evaluate", "s.zarr", "zero-shot", "--dataset", "d", "--features", "x")
FLAT = ("--features", "vifi-tiny@random.2f")
WRONG = [
    (("nope",), 2, "unknown verb 'nope'"),
    (("exract",), 2, "Did you mean 'extract'?"),
    (("scan", "new.zarr", "nowhere", "--dataset", "d"), 2, "nowhere"),
    (("scan", "new.zarr", "empty", "--dataset", "d"), 2, "no video below empty"),
    (("scan", "new.zarr", "v", "--dataset", "../d"), 2, "cannot name a dataset"),
    (("scan", "s.zarr", "v", "--dataset", "d"), 2, "--append"),
    (("scan", "other.zarr", "v", "--dataset", "d"), 1, "something else made"),
    (("info", "new.zarr"), 1, "there is no store"),
    (("info", "other.zarr"), 1, "something else made"),
    (
        ("extract", "s.zarr", "--dataset", "d", *MODEL, "--frames", "x"),
        2,
        "Error parsing --frames: 'x' is no INT; see vifi extract --help",
    ),
    (("info",), 2, "Missing from vifi info: STORE; see vifi info --help"),
    (("info", ""), 1, ". is not a zarr store"),
    (("serve", "s.zarr", "--preview-cache-gb", "1e300"), 2, "--preview-cache-gb is 1e+300"),
    (("extract", "s.zarr", *MODEL), 2, "Missing from vifi extract: --dataset DATASET; see vifi"),
    (("info", "s.zarr", "--jsn"), 2, "--jsn"),
    (("extract", "s.zarr", "--dataset", "e", *EXTRACT), 2, "There are: d"),
    (
        ("extract", "s.zarr", "--dataset", "d", "--model", "ViT-B-33", "--pretrained", "none"),
        2,
        "Did you mean 'ViT-B-32'?",
    ),
    (
        ("extract", "s.zarr", "--dataset", "d", "--model", "vifi-tiny", "--pretrained", "x.pt"),
        1,
        "there are no weights at x.pt",
    ),
    (
        ("extract", "s.zarr", "--dataset", "d", "--model", "vifi-tiny", "--pretrained", "x"),
        2,
        "unknown weights of vifi-tiny 'x'",
    ),
    (("extract", "s.zarr", "--dataset", "d", *MODEL, "--frames", "0"), 2, "--frames is 0"),
    (("extract", "s.zarr", "--dataset", "d", *EXTRACT, "--limit", "0"), 2, "--limit is 0"),
    (("extract", "s.zarr", "--dataset", "d", *EXTRACT, "--blocks", "3"), 2, "--blocks is"),
    (("extract", "s.zarr", "--dataset", "d", *MODEL, "--device", "tpu9"), 2, "--device is"),
    (("extract", "s.zarr", "--dataset", "d", *EXTRACT, "--name", "a/b"), 2, "cannot name"),
    (("evaluate", "s.zarr", "zero-shot", "--dataset", "d"), 2, "no feature set yet; make one"),
    (
        (
            *("extract", "s.zarr", "--dataset", "d", "--model", "ViT-B-17", "--frames", "0"),
            *("--pretrained", "no.pt", "--retry", "--repair", "--name", "a/b", "--template", "x"),
        ),
        2,
        "things are wrong: (1)",
    ),
    (
        ("watch", "f", "s.zarr", "--dataset", "d", "--crops", "2", "--once", "--until-done"),
        2,
        "--once and --until-done are two things",
    ),
    (
        (
            *("train-head", "s.zarr", "--dataset", "d", "--features", "f", "--head", "a5"),
            *("--epochs", "2", "--warmup-epochs", "9", "--second-beta", "3"),
        ),
        2,
        "3 things are wrong: (1) --second-beta is 3.0; give from 0 to below 1.",
    ),
    (("evaluate", "s.zarr", "zero-shot", "--dataset", "d", "--features", "x"), 2, "unknown"),
    (("evaluate", "s.zarr", "zeroshot", "--dataset", "d"), 2, "zeroshot"),
    (
        ("evaluate", "flat.zarr", "zero-shot", "--dataset", "d", *FLAT),
        2,
        "none of these videos has a label",
    ),
    (("ablate", "s.zarr", "--dataset", "d"), 2, "no feature set yet; make one"),
    ((*ZERO_SHOT, "--shots", "3"), 2, "--shots has no meaning for zero-shot"),
    ((*ZERO_SHOT, "--classifier", "prototype"), 2, "--classifier has no meaning"),
    (("evaluate", "s.zarr", "few-shot", "--dataset", "d", *FLAT, "--shots", "0"), 2, "1 or more"),
    (
        ("evaluate", "s.zarr", "supervised", "--dataset", "d", *FLAT, "--split", "a", "b"),
        2,
        "takes one split",
    ),
    (
        ("texts", "s.zarr", "--dataset", "d", *MODEL, "--template", "a {} } b"),
        2,
        "exactly one {}",
    ),
    (("texts", "flat.zarr", "--dataset", "d", *MODEL), 2, "no class names"),
    (("report", "empty"), 2, "holds no results"),
    (("report", "nowhere"), 2, "there is no results folder"),
    (("tsne", "s.zarr", "--dataset", "d", "--out", "x.png"), 2, "no feature set yet; make one"),
    (("export", "s.zarr", "--dataset", "d", "--format", "npy", "--out", "o"), 2, "no feature set"),
    (("name", "s.zarr", "d", "x", "y"), 2, "unknown feature set"),
]


def test_wrong_calls_are_one_line_and_leave_nothing(broken, said, monkeypatch):
    monkeypatch.chdir(broken)
    before = sorted(broken.rglob("*"))
    for arguments, code, words in WRONG:
        found, out, error = said(*arguments)
        assert (found, out) == (code, ""), arguments
        assert words in error, (arguments, error)
        assert error.startswith("vifi: ")
    left = [path for path in sorted(broken.rglob("*")) if path not in before]
    assert left == []


def test_help_of_every_verb(capsys):
    assert run(["--help"]) == 0
    assert capsys.readouterr().out.strip() == usage()
    for verb in VERBS:
        with pytest.raises(SystemExit) as stop:
            run([verb, "--help"])
        assert stop.value.code in (0, None)
        assert f"vifi {verb}" in capsys.readouterr().out


def test_help_loads_neither_torch_nor_the_plotting_library():
    program = (
        "import sys, vifi.__main__ as m\n"
        "for verb in m.VERBS:\n"
        "    try: m.run([verb, '--help'])\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'triton', 'matplotlib', 'sklearn', 'openTSNE'} & sys.modules.keys()\n"
        "sys.exit(' '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def through_a_pipe(words: str, reader: str, cwd, **variables: str) -> tuple[int, str, str]:
    """Exit code of `vifi WORDS | READER`'s vifi, what the reader prints, and standard error."""
    command = f"{sys.executable} -m vifi {words} | {reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **variables},
    )
    return done.returncode, done.stdout, done.stderr


def test_a_closed_pipe_is_no_failure(broken):
    assert through_a_pipe("info s.zarr --json", "head -c 1", broken) == (0, "{", "")


# A reader that ends at once is gone before, or while, Python writes what it held back.
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "code"),
    [("--help", 0), ("", 2), ("info --help", 0), ("info nowhere.zarr 2>&1", 1), ("nope 2>&1", 2)],
)
def test_a_pipe_that_nobody_reads_changes_no_code(words, code, unbuffered, tmp_path):
    variables = {"PYTHONUNBUFFERED": unbuffered}
    assert through_a_pipe(words, "true", tmp_path, **variables) == (code, "", "")


def test_interrupted_call_ends_in_one_line(broken):
    command = [sys.executable, "-m", "vifi", "extract", "s.zarr", "--dataset", "d", *EXTRACT]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=broken)
    # The model is loaded: from here on the call works on videos.
    assert "RANDOM" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.splitlines()[-1].startswith("vifi: stopped")
    assert "Traceback" not in error


def test_a_message_is_never_longer_than_can_be_read(capsys, monkeypatch):
    def fail(_: object) -> None:
        raise UsageError(f"what {'x' * 5000} is wrong; give another one")

    monkeypatch.setattr("vifi.verbs.info.main", fail)
    assert run(["info", "S"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 400
    assert line.startswith("vifi: what xxx")
    assert line.endswith("xxx is wrong; give another one")
