#!/bin/bash
# Make the archive of wheels that benchmarks/gpu.sh takes to a machine without a network.
#
#     benchmarks/gpu_wheels.sh wheels.tar.xz [NAME...]
#
# In it is what the steps import and an image of PyTorch 2.11 for Python 3.12 on Linux lacks, at the
# versions of locks/3.12-gpu.txt, with further packages by name; what such an image is taken to have
# is in benchmarks/wheel_archive.py. PyAV decodes on that machine, and torchcodec by the FFmpeg that
# PyAV brings: decord, which no step needs, has 27 MB more. pip installs them, from its own wheel.
set -euo pipefail
archive=$(realpath -m "${1:?usage: benchmarks/gpu_wheels.sh ARCHIVE [NAME...]}")
shift
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
names=(
    av donfig docstring-parser filelock ftfy google-crc32c msgspec numcodecs open-clip-torch
    packaging pillow pip torchcodec typeguard typing-extensions tyro wcwidth zarr zarrs
    # The tests.
    execnet hypothesis iniconfig pluggy pygments pytest pytest-xdist sortedcontainers
)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fetch=("$python" -m pip download --quiet --no-deps --only-binary=:all: --dest "$folder"
    --python-version 3.12 --implementation cp --abi cp312 --abi abi3 --abi none)
for glibc in 2_28 2_27 2_24 2_17; do
    fetch+=(--platform "manylinux_${glibc}_x86_64")
done
fetch+=(--platform manylinux2014_x86_64 --platform any)
"${fetch[@]}" --constraint locks/3.12-gpu.txt "${names[@]}" "$@"
"$python" -m benchmarks.wheel_archive "$folder" "$archive"
