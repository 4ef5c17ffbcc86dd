"""On a store in a bucket: an actor that sleeps past its claims is refused when it wakes up."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.vifistore.cluster.conftest import ROOT, finish, flags, raylets, wait_for
from tests.vifistore.extract.conftest import scan
from tests.vifistore.store.conftest import bucket, bucket_server  # noqa: F401 - fixtures
from vifistore.store import open_store
from vifistore.store.schema import DONE
from vifistore.store.verifying.verify import verify_store

pytestmark = pytest.mark.slow

LEASE_SECONDS = "6"


def num_done(store) -> int:
    """Videos that the store says are done."""
    if not store.dataset("d").feature_ids():
        return 0
    (name,) = store.dataset("d").feature_ids()
    return int((store.dataset("d").features(name).read_status() == DONE).sum())


def test_a_sleeping_actor_is_refused_when_it_wakes_up(bucket, videos, undisturbed):  # noqa: F811
    store = scan(f"{bucket}/ray/S.zarr", videos)
    with raylets(1, VIFI_CLAIM_SECONDS=LEASE_SECONDS) as cluster:
        process = cluster.start(store.path, seconds=1.5)
        wait_for(lambda: num_done(store), process)
        (encoder,) = cluster.encoders()
        os.kill(encoder, signal.SIGSTOP)
        time.sleep(float(LEASE_SECONDS) + 2)
        # Somebody else takes what has expired, and seals the set.
        command = [sys.executable, "-m", "vifi", "extract", store.path, *flags()]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        assert '"sealed": true' in done.stdout
        sealed = open_store(store.path).features("d", "n").sealed
        os.kill(encoder, signal.SIGCONT)
        report, _ = finish(process)
    assert report["sealed"]
    found = open_store(store.path).features("d", "n")
    assert found.sealed == sealed == undisturbed.sealed
    np.testing.assert_array_equal(found.read("frames"), undisturbed.read("frames"))
    assert list(verify_store(open_store(store.path))) == []
