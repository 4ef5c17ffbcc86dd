"""Pack wheels into one archive, smaller than they are: `benchmarks/gpu_wheels.sh` calls it.

    python -m benchmarks.wheel_archive FOLDER ARCHIVE.tar.xz

Each wheel is written anew without compression, and all of them are compressed together: xz makes of
PyAV's 35 MB 25. pip installs a wheel that is not compressed as any other.
"""

import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from vifistore.errors import UsageError

LARGEST_BYTES = 50_000_000
"""What an archive may have, so that it travels with a checkout where 64 MB may."""
AT_HAND = frozenset(
    (
        *("huggingface-hub", "numpy", "pandas", "python-dateutil", "pyyaml", "regex"),
        *("safetensors", "timm", "torch", "torchvision", "tqdm", "triton"),
    )
)
"""What an image of PyTorch is taken to have, with all that these need."""
_TARGET = {"python_version": "3.12", "sys_platform": "linux", "extra": ""}
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


def pack(folder: Path, archive: Path) -> int:
    """Pack the wheels of a folder; returns the archive's bytes.

    Raises UsageError, and leaves no archive, if there is no wheel, a wheel needs what is neither
    there nor in `AT_HAND`, or it becomes too large.
    """
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise UsageError(f"there are no wheels in {folder}; give a folder of wheels")
    if lacking := sorted(_needs(wheels) - AT_HAND - {_name(wheel) for wheel in wheels}):
        raise UsageError(f"these wheels need {', '.join(lacking)}, too; name them as well")
    made = archive.with_name(f"{archive.name}.part")
    try:
        with tempfile.TemporaryDirectory() as scratch, tarfile.open(made, "w:xz") as packed:
            for wheel in wheels:
                packed.add(stored(wheel, Path(scratch)), arcname=wheel.name)
        size = made.stat().st_size
        if size > LARGEST_BYTES:
            raise UsageError(f"the archive has {size} bytes, above {LARGEST_BYTES}; name fewer")
        made.replace(archive)
    finally:
        made.unlink(missing_ok=True)
    return size


def _needs(wheels: Iterable[Path]) -> set[str]:
    """Names of all that wheels need, on a machine as gpu.sh wants it."""
    found = set()
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            (member,) = [n for n in opened.namelist() if n.endswith(".dist-info/METADATA")]
            told = Parser().parsestr(opened.read(member).decode(), headersonly=True)
        for text in told.get_all("Requires-Dist", []):
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate(_TARGET):
                found.add(canonicalize_name(need.name))
    return found


def _name(wheel: Path) -> str:
    return parse_wheel_filename(wheel.name)[0]


def stored(wheel: Path, folder: Path) -> Path:
    """The same wheel without compression, in a folder; the digests in its RECORD stay true."""
    path = folder / wheel.name
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
        for member in old.infolist():
            # One time for all, so that equal wheels make equal archives.
            entry = zipfile.ZipInfo(member.filename, _LONG_AGO)
            entry.external_attr = member.external_attr
            new.writestr(entry, old.read(member))
    return path


def main(words: Sequence[str]) -> int:
    """The program."""
    folder, archive = map(Path, words)
    try:
        size = pack(folder, archive)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{archive}: {len(list(folder.glob('*.whl')))} wheels, {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
