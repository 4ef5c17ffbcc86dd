#!/bin/bash
# Measure a machine with one H100 or H200, within five minutes and without a network.
#
#     benchmarks/gpu.sh OUT [WHEELS] [--only STEP] [--dry-run]
#
# WHEELS is the archive of benchmarks/gpu_wheels.sh; without one, everything is installed already.
# It needs Python 3.12 with PyTorch 2.11 and Triton 3.6, which PYTHON names (else it is looked for),
# and no pip, git, make, xz, FFmpeg or home. OUT gets summary.txt and, after each step, rows/*.jsonl
# and logs/STEP.log. --only runs one step and may be given again; --dry-run goes through all steps
# on a CPU at tiny sizes, whose rows mean nothing.
# See benchmarks/gpu_steps.py for the steps.
set -euo pipefail
begun=$(date +%s)
usage="usage: benchmarks/gpu.sh OUT [WHEELS] [--only STEP] [--dry-run]"
places=()
while [ $# -gt 0 ] && [[ $1 != -* ]]; do
    places+=("$(realpath -m -- "$1")")
    shift
done
if [ ${#places[@]} -lt 1 ] || [ ${#places[@]} -gt 2 ]; then
    echo "$usage" >&2
    exit 2
fi
out=${places[0]} wheels=${places[1]:-}
if [ -n "$wheels" ] && [ ! -f "$wheels" ]; then
    echo "there is no archive $wheels; make one with benchmarks/gpu_wheels.sh" >&2
    exit 2
fi
cd "$(dirname "$0")/.."

# With wheels one that they are made for.
fits='
import sys
from importlib.util import find_spec
wrong = not find_spec("torch") or not find_spec("triton")
sys.exit(wrong or (len(sys.argv) > 1 and sys.version_info[:2] != (3, 12)))
'
candidates=(python3 python python3.12) python=
[ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
for found in "${candidates[@]}"; do
    if "$found" -c "$fits" ${wheels:+with} 2>/dev/null; then
        python=$found
        break
    fi
done
if [ -z "$python" ]; then
    echo "there is no Python${wheels:+ 3.12} with torch and triton; name one, as PYTHON=/opt/python" >&2
    exit 2
fi
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Some packages want to write there.
if [ ! -d "${HOME:-}" ] || [ ! -w "$HOME" ]; then
    export HOME=$scratch
fi
if [ -n "$wheels" ]; then
    mkdir "$scratch/wheels"
    "$python" -m tarfile --filter data -e "$wheels" "$scratch/wheels"
    "$python" -m venv --without-pip --system-site-packages "$scratch/venv"
    # What belongs to a Python that is itself in an environment is no package of the system's.
    "$python" -c 'import site; print("\n".join(site.getsitepackages()))' \
        >"$(echo "$scratch"/venv/lib/python3*/site-packages)/machine.pth"
    python=$scratch/venv/bin/python
    "$python" "$(echo "$scratch"/wheels/pip-*.whl)/pip" install --quiet --no-index --no-deps \
        --no-compile --no-cache-dir --disable-pip-version-check --ignore-installed \
        --find-links "$scratch/wheels" "$scratch"/wheels/*.whl
    # torchcodec asks for FFmpeg's libraries by their own names, which PyAV's wheel has lengthened:
    # libavutil-8f0ab4ee.so.61.1.102 is libavutil.so.61.
    mkdir "$scratch/ffmpeg"
    for library in "$scratch"/venv/lib/python3*/site-packages/av.libs/lib{av,sw}*-*.so.*; do
        name=${library##*/} release=${library##*.so.}
        ln -s "$library" "$scratch/ffmpeg/${name%%-*}.so.${release%%.*}"
    done
    export LD_LIBRARY_PATH=$scratch/ffmpeg${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
fi
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
# Compiled anew, as on a machine that has never seen this; then shared by the steps.
export TRITON_CACHE_DIR=$scratch/triton TORCHINDUCTOR_CACHE_DIR=$scratch/inductor
"$python" -m benchmarks.gpu_steps "$out" --begun "$begun" "$@"
