"""On an NVIDIA GPU with video engines: frames are those of the CPU but for their colours, and they
outlive the process that decoded them."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from vifistore.errors import UsageError
from vifistore.frames.decoders.decoding import decode_video
from vifistore.frames.gpu.gpu_decoders import GpuDecoders, open_gpu_decoders
from vifistore.frames.gpu.nvdec import check_nvdec
from vifistore.frames.plans import Sampling
from vifistore.frames.processes.decode_jobs import DecodeJob
from vifistore.sources.roots import footage_of

pytestmark = pytest.mark.gpu
SAMPLING = {"frames": 8, "clips": 1}


@pytest.fixture
def gpu() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("there is no NVIDIA GPU")
    try:
        check_nvdec("cuda")
    except UsageError as error:
        pytest.skip(str(error))
    return torch.device("cuda", 0)


@pytest.fixture
def decoders(gpu: torch.device):
    with open_gpu_decoders(gpu, Sampling(**SAMPLING), 60) as decoders:
        try:
            decoders.warm_up()
            yield decoders
        finally:
            decoders.kill()
            decoders.stop()


def decoded(decoders: GpuDecoders, path: Path) -> torch.Tensor:
    video = decoders.decode(DecodeJob(footage=footage_of(path)), takes_digest=True)
    assert video is not None, "the CPU would have to decode it"
    assert isinstance(video.frames, torch.Tensor)
    return video.frames


def test_frames_are_those_of_the_cpu_but_for_their_colours(
    decoders: GpuDecoders, make_video: Callable[..., Path]
) -> None:
    path = make_video("large.mp4", size=(320, 240))
    expected = decode_video(path, **SAMPLING, decoder="pyav").frames
    for _ in range(20):
        frames = decoded(decoders, path)
        assert frames.is_cuda
        difference = np.abs(frames.cpu().numpy().astype(int) - expected)
        # Neighbouring frames differ by 5 levels.
        assert difference.mean() < 2


def test_frames_outlive_the_process_that_decoded_them(
    decoders: GpuDecoders, make_video: Callable[..., Path]
) -> None:
    path = make_video("large.mp4", size=(320, 240))
    held = [decoded(decoders, path) for _ in range(3)]
    expected = held[0].cpu()
    pid = decoders.pid
    os.kill(pid, signal.SIGKILL)
    job = DecodeJob(footage=footage_of(path))
    assert decoders.decode(job, takes_digest=True) is None
    time.sleep(1)
    again = decoded(decoders, path)
    assert decoders.pid not in (pid, None)
    for frames in (*held, again):
        assert torch.equal(frames.cpu(), expected)
