"""Which Ray cluster is taken, without Ray."""

import os
import socket
from types import SimpleNamespace

import pytest

from vifistore.cluster import ray_session
from vifistore.errors import UsageError


@pytest.mark.parametrize("content", ["127.0.0.1:{}", "", "nonsense", "host:", "\xff"])
def test_a_cluster_of_this_machine_is_one_that_listens(tmp_path, monkeypatch, content):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    noted = tmp_path / "ray" / "ray_current_cluster"
    assert not ray_session._has_cluster()
    noted.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        noted.write_text(content.format(port), encoding="latin-1")
        assert ray_session._has_cluster() == ("{}" in content)
    # A cluster that was killed leaves its address behind.
    assert not ray_session._has_cluster()
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert ray_session._has_cluster()


def test_what_compiled_code_says_is_not_heard_and_what_follows_is(capfd):
    with ray_session._unheard():
        os.write(2, b"level")
    os.write(2, b"ours")
    assert capfd.readouterr().err == "ours"
    with pytest.raises(OSError, match="refused"), ray_session._unheard():
        raise OSError("refused")
    os.write(2, b"ours")
    assert capfd.readouterr().err == "ours"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "Version mismatch: The cluster was started with:\n    Ray: 2.50.0\n    Python: 3.12.1\n"
            "This process on 10.0.0.7 was started with:\n    Ray: 2.49.2\n    Python: 3.11.7\n",
            r"another version: .*Ray: 2\.50\.0 Python: 3\.12\.1 .*Ray: 2\.49\.2 .*on all machines",
        ),
        ("Connection refused\nby a raylet", r"no Ray cluster answers at ray: Connection refused; "),
    ],
)
def test_why_a_cluster_does_not_take_this_machine_is_told_in_one_line(monkeypatch, said, told):
    def init(*_: object, **__: object) -> None:
        raise RuntimeError(said)

    ray = SimpleNamespace(init=init, is_initialized=lambda: False, shutdown=lambda: None)
    monkeypatch.setattr(ray_session, "_import", lambda: ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UsageError, match=told) as error, ray_session.ray_session("ray"):
        pass
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
