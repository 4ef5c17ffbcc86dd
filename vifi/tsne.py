"""`vifi tsne S`: draw feature sets side by side in two dimensions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from vifi.console import parse, say
from vifi.scoring import require_features
from vifistore.errors import UsageError
from vifistore.store import open_store


@dataclass(frozen=True, kw_only=True)
class TsneArguments:
    """Draw feature sets side by side in two dimensions, one panel each."""

    store: tyro.conf.Positional[Path]
    """Path of the store."""
    dataset: str
    """Dataset to draw."""
    out: Path
    """Figure to write; PNG, SVG and PDF of that name are all written."""
    features: tuple[str, ...] = ()
    """Names or ids of feature sets, a panel each."""
    split: str = ""
    """Split to draw. Default: every labelled video."""
    method: Literal["tsne", "pca"] = "tsne"
    """How the map is made."""
    perplexity: float = 30.0
    """t-SNE: effective number of neighbours."""
    seed: int = 0
    """t-SNE: seed of its random choices."""
    partial: bool = False
    """Draw what feature sets that are not complete hold."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("tsne", TsneArguments, arguments)
    require_features(wanted.features, "tsne", one=False)
    if wanted.out.suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--out is {wanted.out}; it must end in .png, .svg or .pdf")
    store = open_store(wanted.store)

    # matplotlib and openTSNE take seconds to import: only once the call is known to be right.
    from harness.projection import Projection, project, separation
    from reports.figures.scatter import scatter_panels
    from reports.files import write_text

    settings = Projection(
        method=wanted.method,
        perplexity=wanted.perplexity,
        seed=wanted.seed,
        partial=wanted.partial,
    )
    place = (store, wanted.dataset, wanted.features, wanted.split)
    points = project(*place, settings)
    measured = separation(*place, partial=wanted.partial)
    path = wanted.out.parent / wanted.out.stem
    wanted.out.parent.mkdir(parents=True, exist_ok=True)
    files = scatter_panels(points, path, measured)
    files += [
        write_text(path.with_name(f"{path.name}.csv"), points.to_csv(index=False)),
        write_text(path.with_name(f"{path.name}_separation.csv"), measured.to_csv(index=False)),
    ]
    say("\n".join(str(file) for file in files))
    return 0
