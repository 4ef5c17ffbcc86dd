"""Rows of a damaged file say what they lost, in the store and in a line."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vifistore.extract.stretch_rows import stretch_store, windows
from tests.vifistore.extract.test_rates import SETTINGS
from tests.vifistore.frames.test_lost_time import RATE, SECONDS, damaged, write
from vifistore.extract.job import extract_dataset
from vifistore.store.schema import DONE, QUARANTINED


@pytest.mark.parametrize("how", [{"fps": 2.0}, {"fps": None, "frames": 4}], ids=["fps", "T"])
def test_rows_of_a_damaged_file(tmp_path, tiny, log, how):
    (tmp_path / "v").mkdir()
    sound = write(tmp_path / "sound.mkv", np.arange(SECONDS * RATE) / RATE)
    damaged(tmp_path / "v" / "film.mkv", sound, "dropped")
    # Eight to twelve seconds are gone, to the second.
    rows = [*windows("film.mkv", 10, 5), ("film.mkv", 9.5, 10.5), ("film.mkv", 15.0, 20.0)]
    store = stretch_store(tmp_path / "s.zarr", tmp_path / "v", rows)
    report = extract_dataset(store.dataset("d"), replace(SETTINGS, **how), loaded=tiny)
    features = store.dataset("d").features(report.name)
    assert features.status[:].tolist() == [DONE, DONE, QUARANTINED, DONE]
    (lost,) = features.quarantine()
    assert lost["reason"] == "decode error"
    assert "damaged: it has lost what is from 9.5 to 10.5 seconds" in lost["message"]
    told = features.read("message", 0, 4).tolist()
    assert told[1].startswith("damaged: ")
    assert told[1].endswith(" of its seconds hold no frame of their own")
    assert (told[0], told[3]) == ("", "")
    (line,) = [line for line in log if "damaged files" in line]
    assert line.startswith("1 videos are of damaged files")
    assert "film.mkv@5-10 (" in line
