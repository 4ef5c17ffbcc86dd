"""What an install takes: locks that fit pyproject.toml, and wheels that lack no file."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted((ROOT / "locks").iterdir())
PACKAGES = ("vifistore", "harness", "reports", "vifi")


def pins(lock: Path) -> dict[str, str]:
    """Version of each package that a lock names."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if not line.lstrip().startswith("#")]
    for requirement in requirements:
        assert re.fullmatch(r"==[^,]+", str(requirement.specifier)), requirement
    return {canonicalize_name(r.name): str(r.specifier)[2:] for r in requirements}


def variable(name: str) -> str:
    """Value of a variable of the Makefile."""
    (value,) = re.findall(rf"^{name} [:?]?= (.*)", (ROOT / "Makefile").read_text(), flags=re.M)
    return value


def test_a_lock_for_every_python_and_hardware():
    pythons = variable("VERSIONS").split()
    hardware = ("cpu", "gpu")
    assert [path.stem for path in LOCKS] == sorted(f"{p}-{h}" for p in pythons for h in hardware)
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [p for p in map("3.{}".format, range(9, 30)) if f"{p}.5" in supported] == sorted(pythons)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"Python {' or '.join(sorted(pythons))}" in readme


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_all_that_is_required(lock):
    """Fails when pyproject.toml was changed and `make lock` was not run."""
    pinned = pins(lock)
    python, hardware = lock.stem.split("-")
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras[hardware]]
    # Of the two that ask for a torchcodec of their own, one.
    without = {"cpu", "gpu", "torchcodec" if hardware == "gpu" else "nvdec"}
    wanted += [r for name in extras if name not in without for r in extras[name]]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])
    assert pinned["torch"] == variable("TORCH")
    assert f"{python}-{hardware}.txt" == lock.name


def test_what_is_installed_is_what_the_lock_says():
    stamps = [*Path(sys.prefix).glob(".installed-*")]
    lock = stamps[0].read_text(encoding="utf-8").strip() if stamps else ""
    if not lock:
        pytest.skip("this environment was not made from a lock")
    wrong = {}
    for name, pinned in pins(ROOT / lock).items():
        try:
            # torch 2.13.0+cpu is PyTorch's own build of 2.13.0.
            installed = version(name).split("+")[0]
        except PackageNotFoundError:
            continue
        if installed != pinned:
            wrong[name] = installed
    assert wrong == {}


def test_environment_is_pyproject():
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    lines = [line.split("#")[0].strip(" -") for line in environment.splitlines()]
    (python,) = (line.removeprefix("python=") for line in lines if line.startswith("python="))
    assert f"c locks/{python}-cpu.txt" in lines
    assert f"name: {PROJECT['name']}" in environment
    for name in re.findall(r"locks/\S+", environment):
        assert ROOT / name in LOCKS
    for extras in re.findall(r"\.\[(.*?)\]", environment):
        assert set(extras.split(",")) <= PROJECT["optional-dependencies"].keys()


def files_of_packages() -> set[str]:
    """Files of the packages, those not committed yet among them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_a_wheel_holds_every_file_of_the_packages(tmp_path):
    expected = files_of_packages()
    for name in {*expected, "pyproject.toml", "README.md", "LICENSE"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    command = [sys.executable, "-c", build]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
