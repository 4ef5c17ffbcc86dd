"""Extraction on Ray gives what one process gives, whatever is killed meanwhile."""

import pytest

from tests.vifistore.cluster.conftest import assert_as_undisturbed, finish, raylets

pytestmark = pytest.mark.slow


def test_two_actors_give_what_one_process_gives(store, undisturbed):
    with raylets(1, 1) as cluster:
        report, said = finish(cluster.start(store.path, seconds=0.2))
        assert (report["encoded"], report["quarantined"], report["sealed"]) == (320, 0, True)
        assert "2 encoders, 320 videos" in said
        assert_as_undisturbed(store, undisturbed)
