"""What is worth what: feature sets x fusions, and x frames, as tables for a paper.

    python examples/ablation_table.py S.zarr --dataset ucf101 --split test1 \\
        --features vanilla vifi-clip@step-2000 --counts 4 8 16 --out tables

Writes fusion.md and fusion.tex (rows: how a model was trained; columns: how it was scored), and
ablation-frames.md and .tex where frames are counted; prints top-1 with 95% intervals.
"""

from pathlib import Path

import tyro

from harness.ablations import Ablation, frames_ablation, fusion_matrix
from harness.results import to_frame
from reports.layouts.fusion_table import fusion_table
from reports.layouts.protocol_tables import protocol_tables
from reports.measurements import measurements
from reports.writers.latex import to_latex
from reports.writers.markdown import to_markdown
from vifistore.store import open_store

COLUMNS = ["feature_names", "fusion", "num_frames", "value", "ci_low", "ci_high", "num_videos"]


def main(
    store: tyro.conf.Positional[str],
    dataset: str,
    features: tuple[str, ...],
    split: str = "",
    fusions: tuple[str, ...] = ("embedding", "decision", "image"),
    counts: tuple[int, ...] = (),
    out: Path = Path("tables"),
) -> None:
    """Score every feature set by every fusion, and with `counts` of its frames; write tables."""
    videos = open_store(store).dataset(dataset)
    sets = [videos.features(name) for name in features]
    settings = Ablation(fusions=fusions)
    rows = fusion_matrix(sets, split, settings)
    for one in sets if counts else ():
        rows += frames_ablation(one, counts, split, settings)
    scores = to_frame([row for row in rows if row.metric == "top1"])
    print(scores[COLUMNS].to_string(index=False))

    found = measurements(rows)
    out.mkdir(parents=True, exist_ok=True)
    for table in [fusion_table(found), *protocol_tables(found)]:
        (out / f"{table.name}.md").write_text(to_markdown(table), encoding="utf-8")
        (out / f"{table.name}.tex").write_text(to_latex(table), encoding="utf-8")


if __name__ == "__main__":
    tyro.cli(main)
