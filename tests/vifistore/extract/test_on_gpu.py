"""On an NVIDIA GPU: copies keep every byte, and the pipeline gives what it gives on the CPU."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.vifistore.extract.conftest import scan
from tests.vifistore.extract.sets import NAME, SETTINGS, arrays, assert_equal
from vifi.bench.encode import place_difference
from vifistore.extract.blocks import VideoResult
from vifistore.extract.clock import Clock
from vifistore.extract.encoder import Encoder
from vifistore.extract.job import extract_dataset
from vifistore.extract.registered import registered
from vifistore.extract.transfer import Pixels, _Uploader, to_host
from vifistore.frames.preprocess import preprocessing_of, squares_of
from vifistore.frames.processes.arena import Arena, write_part
from vifistore.store import open_store
from vifistore.store.verifying.verify import verify_store

pytestmark = pytest.mark.gpu


def test_uploads_keep_every_byte(gpu):
    upload, generator = _Uploader(gpu), np.random.default_rng(0)
    # Larger and smaller than the buffers of before, and many under way at once.
    sizes = [5, 900, 3, 2000, 1] * 8
    given = [generator.integers(0, 256, (size, 400, 3), dtype=np.uint8) for size in sizes]
    doubled = [upload(array).int() * 2 for array in given]
    for array, found in zip(given, doubled, strict=True):
        np.testing.assert_array_equal(found.cpu().numpy(), array.astype(int) * 2)


def test_uploads_from_registered_memory_keep_every_byte(gpu):
    arena, generator = Arena(3 * 2**20), np.random.default_rng(0)
    expected, doubled = [], []
    with registered(arena, gpu):
        upload = _Uploader(gpu)
        # Two are under way and one is filled: parts are used again and again.
        for _ in range(40):
            start, part = arena.take(2**20)
            assert torch.from_numpy(part).is_pinned()
            expected.append(generator.integers(0, 256, part.size, dtype=np.uint8))
            write_part(arena.file, start, expected[-1])
            doubled.append(upload(part).short() * 2)
            del part
        for array, found in zip(expected, doubled, strict=True):
            np.testing.assert_array_equal(found.cpu().numpy(), array.astype(np.int16) * 2)
        del upload
    arena.close()


def test_downloads_wait_for_what_is_computed(gpu):
    factor = torch.eye(2000, device=gpu)

    def results():
        for row in range(30):
            values = torch.full((2000, 2000), float(row), device=gpu)
            for _ in range(20):
                values = values @ factor
            yield VideoResult(row=row, kind="encoded", values={"view_mean": values, "status": 1})

    for row, result in enumerate(to_host(results(), gpu, 4, Clock())):
        assert (result.row, result.values["status"]) == (row, 1)
        assert (result.values["view_mean"] == row).all()


@pytest.mark.parametrize("crops", [1, 3])
def test_squares_and_whole_frames_give_the_same_pixels(gpu, tiny, crops):
    recipe = preprocessing_of("openclip", tiny.preprocess_config, crops)
    frames = np.random.default_rng(1).integers(0, 256, (70, 48, 64, 3), dtype=np.uint8)
    squares = np.concatenate(squares_of(recipe, crops).cut(frames))
    made = {}
    for device in (gpu, torch.device("cpu")):
        for are_squares, given in ((True, squares), (False, frames)):
            pixels = Pixels(
                recipe,
                crops=crops,
                device=device,
                dtype=torch.bfloat16,
                clock=Clock(),
            )
            video = SimpleNamespace(frames=given, are_squares=are_squares)
            made[device.type, are_squares] = pixels.of(video).cpu()
    expected = made["cpu", True]
    for pixels in made.values():
        assert torch.equal(pixels, expected)


# The compiler warns of what is its own.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_compiled_tower_gives_what_a_plain_one_does(gpu, tiny, precision):
    pixels = torch.randn(20, 3, *tiny.image_size, device=gpu)
    found = {}
    for compiled in (False, True):
        encoder = Encoder(tiny, precision=precision, device=gpu, batch=8, compiled=compiled)
        assert encoder.is_compiled == compiled
        videos = [(number, pixels[5 * number : 5 * number + 5]) for number in range(4)]
        made = [rows.clone() for _, rows in encoder.encode(videos)]
        found[compiled] = torch.cat(made)
        # The last bits may differ by a row's place, no more: docs/GPU.md says so.
        assert place_difference(encoder) < (1e-5 if precision == "fp32" else 0.02)
    similar = torch.cosine_similarity(found[False], found[True])
    assert similar.min() > (0.9999 if precision == "fp32" else 0.999)


@pytest.mark.filterwarnings("ignore")
def test_a_second_gpu_gives_the_bytes_of_the_first(gpu, tiny):
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one NVIDIA GPU")
    pixels, found = torch.randn(9, 3, *tiny.image_size), []
    for number in range(2):
        device = torch.device("cuda", number)
        encoder = Encoder(tiny, precision="fp32", device=device, batch=4, compiled=True)
        ((_, given),) = encoder.encode([(0, pixels.to(device))])
        assert given.device == device
        found.append(given.cpu())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compiled", [False, True])
def test_the_pipeline_gives_what_it_gives_on_the_cpu(gpu, store, clips, tiny, tmp_path, compiled):
    extract_dataset(store.dataset("d"), SETTINGS, loaded=tiny)
    wanted = replace(SETTINGS, device=str(gpu), compile=compiled, batch=5)
    stores = [scan(tmp_path / f"{number}.zarr", clips) for number in range(2)]
    for other in stores:
        report = extract_dataset(other.dataset("d"), wanted, loaded=tiny)
        assert (report.encoded, report.sealed, report.name) == (6, True, NAME)
        assert list(verify_store(open_store(other.path))) == []
    first, again = map(arrays, stores)
    assert_equal(again, first)
    expected = arrays(store)
    for name in ("frames", "view_mean", "view_consensus"):
        both = (torch.from_numpy(found[name].astype(np.float32)) for found in (first, expected))
        assert torch.cosine_similarity(*both, dim=-1).min() > 0.9999
