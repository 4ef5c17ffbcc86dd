"""The results folder: what is measured, in files that the reports read.

    append_rows("results", [row]); rows = read_rows("results"); frame = read_frame("results")

    results.jsonl                     result rows, see rows and row_file
    artefacts/summary.json            {"title": str, "lines": [str, ...]}
    artefacts/timings.json            [{"step", "seconds", ...}, ...]; or steps.csv, steps.json
    artefacts/costs.json              [{"features", "gflops", "throughput", "params_millions"}, ...]
    artefacts/throughput.json         [{...}, ...], one of each extraction
    artefacts/commands.json           ["vifi ...", ...], those that made what is no result row
    artefacts/runs.json               [{"name", "num_steps", "points", "scores"}, ...] of trainings
    artefacts/written.json            [str, ...], tables and figures of the last report
    artefacts/provenance.json         {"checkpoints": [...], "recipes": [...], "versions": {...}}
    artefacts/quarantine.json         [{"dataset", "id", "path", "reason", "message"}, ...]
    artefacts/quarantine/NAME.json    the same, of one feature set
    artefacts/gallery.json            [{"query", "kind", "dataset", "features", "hits", ...}, ...]
    artefacts/attention.json          [{"dataset", "id", "label", "image", "strip", ...}, ...]
    artefacts/thumbnails/D/ROW.jpg    pictures of videos, and of moments of them
    artefacts/NAME.csv                panel,id,label,x,y of the map NAME (tsne or pca)
    artefacts/NAME_separation.csv     panel,metric,value,ci_low,ci_high of the same panels
    artefacts/class_frequencies/D.csv dataset,class,count,subset (base or novel)
    artefacts/per_class/NAME.csv      dataset,features,fusion,class,num_videos,value,ci_low,...
    artefacts/answers/NAME.csv        id,row,source,label,predicted of every video of a score
    artefacts/confusion/NAME.csv      dataset,features,fusion,true,predicted,count,num_videos,...

All are optional and checked when they are read; a class for each of them writes and reads it.
Further keys and columns are kept. A folder holds one file per evaluation, so that no two writers
share one. Paths in files are relative to the results folder.
"""

from harness.results.result_row import (
    FIELDS,
    KEY_FIELDS,
    TUNED,
    ZERO_SHOT,
    ResultRow,
    from_record,
    to_frame,
    to_record,
)
from harness.results.row_file import FILE_NAME, append_rows, read_frame, read_rows
from harness.results.whole_files import made_folder

__all__ = [
    "FIELDS",
    "FILE_NAME",
    "KEY_FIELDS",
    "TUNED",
    "ZERO_SHOT",
    "ResultRow",
    "append_rows",
    "from_record",
    "made_folder",
    "read_frame",
    "read_rows",
    "to_frame",
    "to_record",
]
