"""Commands and snippets of the documentation are true: all are parsed, what is marked runs."""

from pathlib import Path

import numpy as np
import pytest
import tyro

from harness.fusion import fuse_frames
from harness.link import Link
from harness.results import read_rows
from harness.softmax import softmax
from tests.docs.pages import Block, every_block, vifi_words
from tests.vifi.conftest import save_tiny
from tests.vifistore.extract.conftest import write_clip
from vifi.__main__ import run

COMMANDS = [
    pytest.param(words, id=f"{block.where} {words[0]}")
    for block in every_block()
    if block.language == "sh"
    for words in map(vifi_words, block.commands)
    if words
]
# What the pages take from the hub, and what takes its place here.
STAND_INS = {"ViT-B-16-quickgelu": "vifi-tiny", "openai": "tiny.safetensors"}
NAME = "ViT-B-16-quickgelu@openai.32f"
# What keeps them small; of a flag that is given twice the last counts. 32 videos are 11 steps.
_ONE_WORKER = ("--device", "cpu", "--workers", "1")
OPTIONS = {
    "extract": _ONE_WORKER,
    "watch": (*_ONE_WORKER, "--frames", "8"),
    "train": (
        *_ONE_WORKER,
        "--epochs",
        "1",
        "--batch-size",
        "3",
        "--micro-batch",
        "3",
        "--frames",
        "2",
    ),
}


class Parsed(BaseException):
    """The command line took a command; it goes no further."""


def taken(words: list[str], monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the real command line takes a command, which is not run."""
    real = tyro.cli

    def parse_alone(*args: object, **options: object) -> None:
        real(*args, **options)
        raise Parsed

    with monkeypatch.context() as patch:
        patch.setattr(tyro, "cli", parse_alone)
        try:
            run(words)
        except Parsed:
            return True
    return False


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_is_parsed(words, monkeypatch, capsys):
    assert taken(words, monkeypatch), capsys.readouterr().err


def test_a_wrong_flag_is_noticed(monkeypatch):
    assert taken(["info", "S.zarr"], monkeypatch)
    assert not taken(["info", "S.zarr", "--jsom"], monkeypatch)
    assert not taken(["evaluate", "S.zarr", "zero-shot", "--fusion"], monkeypatch)
    assert not taken(["train", "zero_shot", "S.zarr"], monkeypatch)


@pytest.fixture
def world(tmp_path, monkeypatch) -> Path:
    """The folder that the pages speak of: clips of two classes, weights, features of others."""
    monkeypatch.chdir(tmp_path)
    for number in range(8):
        label = "juggling balls" if number % 2 else "playing cello"
        write_clip(Path("videos") / label / f"{number}.mp4", seed=number)
    for number, label in enumerate(("archery", "climbing", "juggling", "surfing")):
        # Only of the two base classes 16 videos are drawn for training.
        for clip in range(18 if number < 2 else 4):
            folder = "train" if clip < 16 and (number < 2 or clip < 2) else "val"
            write_clip(Path("clips") / folder / label / f"{clip}.mp4", seed=100 * number + clip)
    save_tiny(Path("tiny.safetensors"))
    generator = np.random.default_rng(0)
    np.save("features.npy", generator.normal(size=(12, 16)).astype(np.float32))
    lines = [f"v{i},{'ab'[i % 2]},{'train' if i < 8 else 'test'}" for i in range(12)]
    Path("labels.csv").write_text("\n".join(["id,label,split", *lines]) + "\n")
    return tmp_path


def run_shell(block: Block) -> None:
    """Run each command of a block in this process, with what stands in for the hub."""
    for words in map(vifi_words, block.commands):
        assert words, f"{block.where} runs something else than vifi"
        arguments = [STAND_INS.get(word, word) for word in words]
        arguments += OPTIONS.get(words[0], ())
        if words[0] == "extract" and "--name" not in words:
            arguments += ["--name", NAME]
        assert run(arguments) == 0, f"{block.where}: {' '.join(arguments)}"


def test_what_is_marked_runs(world):
    names: dict = {}
    blocks = [block for block in every_block() if block.runs]
    assert {block.language for block in blocks} == {"sh", "python"}
    for block in blocks:
        if block.language == "sh":
            run_shell(block)
        else:
            exec(compile(block.text, block.where, "exec"), names)
    assert names["embeddings"].shape == (8, 1, 64)
    check_fusions_by_hand(names)
    assert Path("out/index.html").is_file()
    assert r"\toprule" in Path("table/base-to-novel.tex").read_text()


def check_fusions_by_hand(names: dict) -> None:
    """What the page of numbers computes by hand is what the program gave."""
    rows = [row for row in read_rows("out") if row.protocol == "ablation-fusion"]
    scored = {row.fusion: row.value for row in rows if row.metric == "top1"}
    assert names["top1"] == pytest.approx(scored)
    # Of so few videos top-1 says little.
    scale = names["checkpoint"]["logit_scale"]
    fused = fuse_frames(tuple(scored), names["frames"][:, None], names["classes"], Link(scale))
    for name, scores in fused.items():
        by_hand = names[name] if name == "image" else softmax(scale * names[name])
        np.testing.assert_allclose(by_hand, scores, atol=1e-5)
