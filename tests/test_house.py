"""The house stands as it is drawn: imports point one way, the drawn folders are those there are."""

import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What everything may import: small modules that import nothing of ours.
_BASE = {
    *("vifistore.errors", "vifistore.cleaning", "vifistore.containers", "vifistore.files"),
    *("vifistore.pointers", "vifistore.progress", "vifistore.temporaries"),
}

# Room -> the rooms it may import. A room is the longest prefix that fits a module's name.
ALLOWED = {
    **{room: {"vifistore.errors"} for room in _BASE},
    "vifistore.sources": _BASE,
    "vifistore.store": {*_BASE, "vifistore.sources"},
    "vifistore.videos": {*_BASE, "vifistore.sources"},
    "vifistore.kernels": {"vifistore.errors"},
    "vifistore.frames": {*_BASE, "vifistore.sources", "vifistore.kernels", "vifistore.store"},
    "vifistore.models": {*_BASE, "vifistore.kernels", "vifistore.store"},
    "vifistore.extract": {
        *(*_BASE, "vifistore.kernels", "vifistore.store", "vifistore.videos"),
        *("vifistore.frames", "vifistore.models", "vifistore.scanning", "vifistore.sources"),
    },
    "vifistore.scanning": {
        *(*_BASE, "vifistore.sources", "vifistore.store", "vifistore.videos", "vifistore.frames"),
    },
    "vifistore.following": {
        *(*_BASE, "vifistore.store", "vifistore.frames", "vifistore.models"),
        *("vifistore.extract", "vifistore.cluster"),
    },
    "vifistore.cluster": {
        *(*_BASE, "vifistore.store", "vifistore.models", "vifistore.scanning"),
        "vifistore.extract",
    },
    "vifistore.training": {
        *(*_BASE, "vifistore.kernels", "vifistore.store", "vifistore.videos"),
        *("vifistore.frames", "vifistore.models", "vifistore.extract", "vifistore.scanning"),
        "vifistore.sources",
    },
    "harness": {*_BASE, "vifistore.sources", "vifistore.store"},
    "reports": {*_BASE, "harness.results"},
    "vifi": {"*"},
    "benchmarks": {"*"},
}
# What is known of a module by a fixed name outside its room.
SHARED_MODULES = {"harness.results"}


def modules(root: Path) -> dict[str, Path]:
    """Module name -> file, of every package of the project."""
    found = {}
    for package in ("vifistore", "harness", "reports", "vifi"):
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = path
    return found


def imports_of(path: Path, *, for_types: bool = True) -> set[str]:
    """Every module that a file imports, wherever in it; without those for annotations alone if
    `for_types` is False."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not for_types:
        tree.body = [node for node in tree.body if not _is_for_types(node)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def room_of(module: str) -> str:
    """The room a module is in, or "" for one that is not ours."""
    fits = [room for room in ALLOWED if module == room or module.startswith(room + ".")]
    return max(fits, key=len, default="")


def wrong_imports(files: dict[str, Path]) -> list[str]:
    """Imports from a room into one it may not know."""
    wrong = []
    for module, path in files.items():
        room = room_of(module)
        for name in imports_of(path):
            other = room_of(name)
            if not other or other == room or "*" in ALLOWED[room]:
                continue
            shared = any(name == s or name.startswith(s + ".") for s in SHARED_MODULES)
            if other not in ALLOWED[room] and not (shared and ALLOWED[room] & SHARED_MODULES):
                wrong.append(f"{module} imports {name}")
    return wrong


def cycles(files: dict[str, Path]) -> list[str]:
    """Modules that import themselves, by whatever way round.

    What is imported for annotations alone is not counted: a thing may name the type of its owner.
    """
    graph = {
        module: imports_of(path, for_types=False) & files.keys() for module, path in files.items()
    }

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [*graph[start]]
        while stack:
            if (module := stack.pop()) not in seen:
                seen.add(module)
                stack += graph[module]
        return seen

    return [module for module in graph if module in reach(module)]


def test_imports_point_one_way():
    assert wrong_imports(modules(ROOT)) == []


def test_no_circles_between_files():
    assert cycles(modules(ROOT)) == []


def product(root: Path) -> dict[str, ast.Module]:
    """Path below the root -> syntax tree, of every file of the project but its tests."""
    folders = ("vifistore", "harness", "reports", "vifi", "benchmarks", "examples")
    paths = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    return {p.relative_to(root).as_posix(): ast.parse(p.read_text("utf-8")) for p in paths}


# Files that may have the name of another: each is called what it is for, by a rule of its folder.
_NAMED_FOR = (
    # A verb by the verb, whose work a file of another room does.
    *("vifi/verbs/", "vifi/demo/verb.py", "vifi/bench/verb.py"),
    # A writer of a format as its reader, in importing/.
    "vifistore/store/exporting/",
    # A benchmark by what it measures.
    *("benchmarks/", "vifi/bench/"),
)


def shared_names(files: dict[str, ast.Module]) -> list[str]:
    """Names that two files have, or two classes."""
    names = [Path(p).name for p in files if not p.startswith(_NAMED_FOR)]
    nodes = [node for tree in files.values() for node in ast.walk(tree)]
    names += [node.name for node in nodes if isinstance(node, ast.ClassDef)]
    counts = Counter(name for name in names if not name.startswith("__"))
    return [name for name, count in counts.items() if count > 1]


def used_private(files: dict[str, ast.Module]) -> list[str]:
    """Names with a leading underscore that a file takes from one of another room."""
    found = []
    for path, tree in files.items():
        own = room_of(path.removesuffix(".py").replace("/", "."))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        ours = [node for node in imports if room_of(node.module or "") not in ("", own)]
        modules_here = {alias.asname or alias.name for node in ours for alias in node.names}
        taken = [alias.name for node in ours for alias in node.names]
        taken += [
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules_here
            and not node.value.id[0].isupper()
        ]
        found += [f"{path}: {name}" for name in taken if re.match("_[^_]", name)]
    return found


def test_no_two_files_or_classes_have_one_name():
    assert shared_names(product(ROOT)) == []


def test_no_room_uses_what_is_private_to_another():
    assert used_private(product(ROOT)) == []


def test_a_shared_and_a_private_name_are_noticed(tmp_path):
    for name, text in {
        "harness/a.py": "class Found: ...",
        "reports/a.py": "class Other: ...",
        "reports/b.py": "class Found: ...",
        "vifi/verbs/b.py": "from harness import a\nfrom reports.b import _c\nprint(a._d, a.__e__)",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert shared_names(product(tmp_path)) == ["a.py", "Found"]
    assert used_private(product(tmp_path)) == ["vifi/verbs/b.py: _c", "vifi/verbs/b.py: _d"]


@pytest.mark.parametrize("package", ["vifistore", "harness", "reports"])
def test_packages_say_which_names_are_public(package):
    tree = ast.parse((ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    assert "docs/API.md" in (ast.get_docstring(tree) or "")


def test_init_files_import_nothing():
    fixed = {"vifistore.store", "harness.results"}
    with_imports = [
        module
        for module, path in modules(ROOT).items()
        if path.name == "__init__.py" and module not in fixed and imports_of(path)
    ]
    assert with_imports == []


def test_a_wrong_import_and_a_circle_are_noticed(tmp_path):
    for name, text in {
        "harness/a.py": "from vifistore.extract import pipeline",
        "reports/b.py": "import harness.fusion",
        "vifistore/store/c.py": "def f():\n    from vifistore.store import d",
        "vifistore/store/d.py": "import vifistore.store.c",
        "vifistore/store/e.py": "from vifistore.store import f",
        "vifistore/store/f.py": "if TYPE_CHECKING:\n    from vifistore.store import e",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    wrong = wrong_imports(modules(tmp_path))
    assert "harness.a imports vifistore.extract.pipeline" in wrong
    assert "reports.b imports harness.fusion" in wrong
    assert sorted(cycles(modules(tmp_path))) == ["vifistore.store.c", "vifistore.store.d"]


LIGHT = [m for m in modules(ROOT) if m.startswith(("harness", "reports", "vifistore.store"))]
_IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted({"torch", "triton"} & sys.modules.keys()))
"""


def heavy_after_importing(names: list[str]) -> str:
    """Which of torch and triton a fresh process has loaded after importing `names`."""
    command = [sys.executable, "-c", _IMPORT_ALL, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_light_half_loads_neither_torch_nor_triton():
    assert len(LIGHT) > 30
    assert heavy_after_importing(LIGHT) == "[]"


def test_a_heavy_module_is_noticed():
    assert "torch" in heavy_after_importing(["vifistore.kernels.temporal_pool"])


def drawn_tree() -> set[str]:
    """Paths named in the tree of docs/ARCHITECTURE.md."""
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```tree\n(.*?)```", text, flags=re.S)
    paths, stack = set(), []
    for line in block.splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        stack = [*stack[:depth], name]
        paths.add("".join(stack))
    return paths


def test_drawn_tree_is_the_disk():
    tree = drawn_tree()
    assert [path for path in tree if not (ROOT / path).exists()] == []
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.splitlines()
    top = {name.split("/")[0] + ("/" if "/" in name else "") for name in listed}
    hidden = {name for name in top if name.startswith(".")}
    packages = [Path(n).parent for n in listed if Path(n).name == "__init__.py"]
    folders = {f"{folder}/" for folder in packages if folder.parts[0] != "tests"}
    assert (top - hidden) | folders <= tree


def test_readme_commands_exist():
    from vifi.__main__ import VERBS

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^\s*(?:\$ )?vifi ([a-z-]+)", text, flags=re.M))
    assert commands
    assert commands <= VERBS.keys()
    assert VERBS.keys() <= set(re.findall(r"vifi ([a-z-]+)", text))
    targets = set(re.findall(r"make ([a-z]+)", text))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.parametrize("verb", ["scan", "extract", "evaluate", "ablate", "report", "info"])
def test_every_verb_is_a_file(verb):
    assert (ROOT / "vifi" / "verbs" / f"{verb}.py").is_file()
