"""`vifi bench NAME...`: run benchmarks, add their rows to files, and say what they reached."""

import importlib

from vifi.bench.bench_settings import Bench, Compute, Decode, Encode, Kernels, Pipeline
from vifi.command_line.console import parse, say
from vifistore.errors import UnknownNameError, UsageError, first_line

# Name -> what it can be told. Each is measured by the `run` of the module of its name.
BENCHMARKS: dict[str, type[Bench]] = {
    "kernels": Kernels,
    "encode": Encode,
    "decode": Decode,
    "pipeline": Pipeline,
    "compute": Compute,
}


def usage() -> str:
    """Return the text of `vifi bench --help`."""
    lines = [f"  {name:<8}  {first_line(made.__doc__)}" for name, made in BENCHMARKS.items()]
    return "\n".join(
        [
            "usage: vifi bench NAME... [OPTIONS]     (vifi bench NAME --help explains its options)",
            "",
            "Several names run one after the other, with options that all of them know.",
            "",
            *lines,
        ]
    )


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for no benchmark, an unknown one, and options that one of them lacks.
    """
    if arguments and arguments[0] in ("-h", "--help"):
        print(usage())
        raise SystemExit(0)
    split = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    names, options = arguments[:split], arguments[split:]
    if not names:
        raise UsageError(f"name a benchmark: {', '.join(BENCHMARKS)}; see vifi bench --help")
    for name in names:
        if name not in BENCHMARKS:
            raise UnknownNameError("benchmark", name, BENCHMARKS, "See vifi bench --help.")
    # All are parsed before the first one runs, which may take minutes.
    wanted = [(name, parse(f"bench {name}", BENCHMARKS[name], options)) for name in names]
    rows = [row for name, settings in wanted for row in run_one(name, settings)]
    _say_targets(rows)
    return 0


def run_one(name: str, settings: Bench) -> list[dict]:
    """Run a benchmark, and return the rows that it added to its file."""
    from vifi.bench.recording import record

    module = importlib.import_module(f"vifi.bench.{name}")
    return record(name, settings, module.run, module.CASE)


def _say_targets(rows: list[dict]) -> None:
    """Say which of the project's targets these rows speak of, and whether they are reached."""
    from vifi.bench.speed_targets import targets

    for target in targets(rows):
        verdict = "ok" if target.is_reached else "MISSED"
        say(f"{verdict:<6}  {target.what}: {target.reached:.3g}, wanted {target.wanted}")
