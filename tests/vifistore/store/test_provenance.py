import shlex

import pytest

from vifistore.store.provenance import command_line, package_versions

WORDS = ["texts", "S.zarr", "--template", "a photo of {}"]


@pytest.mark.parametrize("program", ["/opt/bin/vifi", "/opt/lib/vifi/__main__.py"])
def test_a_command_can_be_typed_again(program, monkeypatch):
    monkeypatch.setattr("sys.argv", [program, *WORDS])
    assert shlex.split(command_line()) == ["vifi", *WORDS]


def test_packages_that_are_not_there_are_left_out():
    assert set(package_versions(["numpy", "no-such-package"])) == {"numpy"}
