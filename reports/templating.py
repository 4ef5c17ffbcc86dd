"""HTML from the templates beside this file: what is put into one is text, whatever it holds.

A name from outside (of a class, a file, a feature set) may hold any sign; all are escaped, also in
attributes and in the JSON of a script. A name that a template knows and a caller does not is an
error, and no empty place on a page.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reports.table_model import SOURCES_TOLD, cell_text, format_number

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """The text of a template, by the name of its file. Raises jinja2.TemplateError."""
    return environment().get_template(template).render(**values)


@functools.cache
def environment(finalize: Callable[[object], object] | None = None) -> Environment:
    """The templates, and what they may call; `finalize` sees every value that they show."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    made.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "allow_nan": False,
        "separators": (",", ":"),
    }
    made.filters |= {
        "indented_json": functools.partial(json.dumps, indent=1, ensure_ascii=False),
        "percent": lambda share: format_number(100 * share),
        "plain": _plain,
        "thousands": "{:,}".format,
    }
    made.globals |= {
        "cell_text": cell_text,
        "record_columns": record_columns,
        "sources_told": SOURCES_TOLD,
    }
    return made


def record_columns(records: Sequence[Mapping]) -> dict[str, bool]:
    """Each key that has a value in any of the records, and whether all its values are numbers."""
    every = dict.fromkeys(key for record in records for key in record)
    given = {key: [r[key] for r in records if r.get(key) not in (None, "")] for key in every}
    # To Python true and false are whole numbers, too.
    numbers = {key: {*map(type, values)} <= {int, float} for key, values in given.items()}
    return {key: numbers[key] for key, values in given.items() if values}


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else str(value)
