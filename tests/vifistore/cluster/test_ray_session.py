"""Where there is no cluster it is told at once, in one line."""

import importlib.util
import socket
import sys

import pytest

from vifi.__main__ import run
from vifistore.cluster.ray_session import ray_session
from vifistore.cluster.ray_settings import RaySettings
from vifistore.errors import UsageError

FLAGS = ("--dataset", "d", "--model", "vifi-tiny", "--pretrained", "none")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--on", "raay"), "--on is 'raay'; give ray"),
        (("--on", "ray://"), "or ray://HOST:PORT"),
        (("--on", "ray", "--cores", "0"), "--cores is 0; give 1 or more"),
        (("--on", "ray", "--actors", "-1"), "--actors is -1; give 1 or more"),
        (("--on", "ray", "--retry"), "run --retry and --repair without it"),
        (("--cores", "2"), "give --on ray as well"),
    ],
)
def test_what_makes_no_sense_is_refused(flags, said, capsys):
    assert run(["extract", "s.zarr", *FLAGS, *flags]) == 2
    assert said in capsys.readouterr().err


def test_an_address_that_is_one():
    assert RaySettings(address="ray://head:10001", cores=4).cores == 4


@pytest.mark.parametrize("scheme", ["ray://", ""])
def test_where_nothing_listens_it_is_told_at_once(scheme, monkeypatch):
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", "" if scheme else place)
        address = scheme + place if scheme else "ray"
        with pytest.raises(UsageError, match="no Ray cluster answers"), ray_session(address):
            pass


def test_without_ray_it_is_told_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'vifistore\[ray\]'"), ray_session("ray"):
        pass
