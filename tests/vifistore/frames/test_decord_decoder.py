"""decord loads in a worker without the CUDA libraries that torch brought."""

import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
opened, plain = [], ctypes.CDLL

class Noting(plain):
    def __init__(self, name, *arguments, **options):
        opened.append(str(name))
        super().__init__(name, *arguments, **options)

ctypes.CDLL = Noting
if "early" in sys.argv:
    import nvidia
from vifistore.frames.decoders import decord_decoder
if "build" in sys.argv:
    decord_decoder.version = lambda name: "3.4.0+cu130"
from vifistore.frames.decoders.decoding import load_decoder
load_decoder("decord")
import nvidia.made_up
print(*(any(word in name for name in opened) for word in ("made_up", "libdecord")))
"""


@pytest.mark.parametrize(
    ("how", "expected"), [("plain", "False True"), ("early", "False True"), ("build", "True True")]
)
def test_libraries_of_torch_are_for_cuda_builds_of_decord(tmp_path, how, expected):
    folder = tmp_path / "nvidia" / "made_up" / "lib"
    folder.mkdir(parents=True)
    (folder / "libmade_up.so").write_bytes(b"")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), how]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr
