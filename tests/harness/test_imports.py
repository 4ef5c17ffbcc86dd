import pkgutil
import subprocess
import sys

import harness

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(harness.__path__, "harness.")
    if not module.ispkg
)


def imported_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after `code`."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(result.stdout.split())


def test_harness_imports_neither_torch_nor_triton_nor_the_folders_above():
    assert len(MODULES) > 10
    found = imported_by("import " + ", ".join(MODULES))
    assert not found & {"torch", "triton", "open_clip", "reports", "vifi"}
    # Seconds each; only the functions that need them import them.
    assert not found & {"sklearn", "openTSNE", "matplotlib", "faiss"}


def test_the_check_can_fail():
    assert "sklearn" in imported_by("import sklearn")
