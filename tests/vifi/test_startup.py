"""Verbs start fast: no model library is loaded before a call is known to need it."""

import json
import subprocess
import sys

from vifi.__main__ import _MODULES, VERBS

# They take from a fifth of a second to several to import.
HEAVY = (
    *("torch", "open_clip", "triton", "sklearn", "openTSNE", "matplotlib", "fastapi", "faiss"),
    *("pandas", "transformers"),
)
_PROGRAM = """
import importlib, sys
import vifi.__main__
for name in sys.argv[2:]:
    importlib.import_module(name)
print(*sorted(set(sys.argv[1].split()) & sys.modules.keys()))
"""


def loaded_by(*modules: str) -> list[str]:
    """Which heavy libraries a fresh process has loaded after importing modules."""
    command = [sys.executable, "-c", _PROGRAM, " ".join(HEAVY), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_no_verb_loads_a_heavy_library_to_print_its_help():
    modules = [_MODULES.get(verb, f"vifi.verbs.{verb}") for verb in VERBS]
    assert len(modules) > 15
    assert loaded_by(*modules) == []


def test_a_heavy_library_is_noticed():
    assert loaded_by("harness.projection.maps") == ["pandas"]


_RUN_ALL = """
import json, sys
from vifi.__main__ import run
for arguments in json.loads(sys.argv[1]):
    code = run(arguments)
    heavy = sorted({"torch", "triton", "open_clip"} & sys.modules.keys())
    print(json.dumps([arguments[0], code, heavy]), file=sys.stderr)
"""


def test_verbs_that_need_no_model_load_no_torch(searchable):
    store, scored = str(searchable), ("--dataset", "d", "--features", "tiny")
    commands = [
        ["info", store],
        ["info", store, "--quarantine"],
        ["verify", store],
        ["gc", store],
        ["name", store, "d", "tiny", "tiny"],
        ["evaluate", store, "zero-shot", *scored],
        ["evaluate", store, "retrieval", *scored],
        ["ablate", store, *scored],
        ["search", store, "a red run"],
        ["search", store, "--like", "red run/1.mp4", "--frames"],
        ["index", store, "--kind", "flat"],
        ["classify", store, "--labels", "water,snow"],
        ["classify", store, "--frames"],
    ]
    # 3: one of its videos is quarantined.
    codes = {"classify": 3}
    command = [sys.executable, "-c", _RUN_ALL, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True)
    ended = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("[")]
    assert ended == [[verb, codes.get(verb, 0), []] for verb, *_ in commands], done.stderr
