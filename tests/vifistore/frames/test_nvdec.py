"""Whether a GPU can decode is told in one line, before anything is begun."""

import ctypes
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vifistore.errors import UsageError
from vifistore.frames.decoders.decoding import check_decoder, decoder_version
from vifistore.frames.gpu import nvdec
from vifistore.frames.gpu.gpu_trial import try_decoder
from vifistore.frames.gpu.nvdec import check_nvdec

STAND_IN = Path(__file__).parent / "stand_in_gpu/torchcodec/decoders.py"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Which libraries there are; all of them, until a test says otherwise."""
    there = {"libcuda.so.1": True, "libnvcuvid.so.1": True}
    monkeypatch.setattr(nvdec, "_is_loaded", there.get)
    monkeypatch.setattr(nvdec, "version", lambda name: "0.17.0+cu130")
    return there


def told(device: str = "cuda") -> str:
    with pytest.raises(UsageError) as caught:
        check_nvdec(device)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_a_gpu_with_its_driver_and_torchcodec_decodes(driver: dict[str, bool]) -> None:
    check_nvdec("cuda")


def test_what_is_missing_is_told_with_the_remedy(
    driver: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "the device is cpu; give --decoder decord or pyav" in told("cpu")
    for library in driver:
        driver[library] = False
        assert f"needs {library} of NVIDIA's driver" in told()
        driver[library] = True
    for release in ("0.13.1", "0.17.0+cpu"):
        monkeypatch.setattr(nvdec, "version", lambda name, release=release: release)
        assert f"{release} decodes on CPU cores: pip install 'vifistore[nvdec]'" in told()


def test_without_torchcodec_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise nvdec.PackageNotFoundError(name)

    monkeypatch.setattr(nvdec, "version", missing)
    with pytest.raises(UsageError, match=r"needs torchcodec: pip install 'vifistore\[nvdec\]'"):
        check_decoder("torchcodec-cuda")


def test_its_version_names_what_the_cpu_decodes_with_beside_it(driver: dict[str, bool]) -> None:
    assert decoder_version("torchcodec-cuda") == f"0.17.0+cu130+av{decoder_version('pyav')}"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"__init__": lambda self, *_, **__: int("no FFmpeg")}, "no FFmpeg"),
        ({"cpu_fallback": True}, "no engine for H.264"),
        ({}, "comes as (1, 80, 80, 3)"),
    ],
)
def test_a_decoder_that_fails_at_everything_is_refused(
    monkeypatch: pytest.MonkeyPatch, broken: dict, words: str
) -> None:
    frames = SimpleNamespace(data=np.zeros((1, 80, 80, 3), np.uint8))
    sound = {
        "__init__": lambda self, *_, **__: None,
        "get_frames_at": lambda self, numbers: frames,
        "cpu_fallback": False,
    }
    made = type("VideoDecoder", (), {**sound, **broken})
    module = SimpleNamespace(VideoDecoder=made)
    monkeypatch.setitem(sys.modules, "torchcodec", SimpleNamespace(decoders=module))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)
    with pytest.raises(UsageError) as caught:
        try_decoder("cpu")
    assert words in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_decoder_that_decodes_passes_its_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("gpu_stand_in", STAND_IN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "torchcodec", SimpleNamespace(decoders=module))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)
    try_decoder("cpu")


def test_a_library_is_there_if_it_can_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not nvdec._is_loaded("libthere-is-none.so.1")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: None)
    assert nvdec._is_loaded("libthere-is-none.so.1")
