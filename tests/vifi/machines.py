"""Programs on machines of their own: with a cache folder that no other one has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_house import ROOT


class Machines:
    """Starts programs, and ends those that still run when the test is over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[subprocess.Popen] = []
        """What was started, in order."""
        programs = folder / "bin"
        programs.mkdir()
        vifi = programs / "vifi"
        vifi.write_text(f'#!/bin/sh\nexec {sys.executable} -m vifi "$@"\n')
        vifi.chmod(0o755)
        self.programs = programs
        """Folder of what every machine finds, such as `vifi`."""

    def start(self, machine: str, *command: str, **told: str) -> subprocess.Popen:
        """Start a command on a machine, with more in its environment."""
        environment = {
            **os.environ,
            **{"XDG_CACHE_HOME": str(self._folder / machine), "OMP_NUM_THREADS": "1"},
            **{"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"},
            "PYTHONPATH": str(ROOT),
            # The machine's own name need not resolve.
            "GLOO_SOCKET_IFNAME": "lo",
            **told,
        }
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        self.started.append(process)
        return process

    def torchrun(self, machine: str, *words: str, nodes: int = 1, rank: int = 0, port: int = 0):
        """Start `vifi` by torchrun: two processes on one node, or one on each of several."""
        each = ("--nproc-per-node", "2" if nodes == 1 else "1")
        where = ("--master-addr", "127.0.0.1", "--master-port", str(port))
        nodes_of = ("--nnodes", str(nodes), "--node-rank", str(rank))
        run = (sys.executable, "-m", "torch.distributed.run")
        return self.start(machine, *run, *nodes_of, *each, *where, "-m", "vifi", *words)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.started:
            process.kill()
            process.communicate()


@pytest.fixture
def machines(tmp_path):
    """Machines of a test."""
    found = Machines(tmp_path)
    yield found
    found.end()


def done(process: subprocess.Popen, code: int = 0) -> str:
    """What a program said that ends with this code."""
    said, told = process.communicate(timeout=240)
    assert process.returncode == code, said[-3000:] + told[-3000:]
    return said + told
