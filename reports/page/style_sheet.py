"""The style sheet of the page: `page.css`, with the colours that the printed figures have."""

from pathlib import Path

from reports.figures.figure_style import COLOURS, UNLABELLED_COLOUR

# On a dark page: the same hues, the dark ones lighter, so that they keep a contrast of 3.
DARK_COLOURS = ("#3D9BDC", "#E8743B", "#23B88C", "#D893B8", "#E69F00", "#7CC8F2", "#A58BD8")
DARK_UNLABELLED_COLOUR = "#5c646d"


def style_sheet() -> str:
    """All of the page's style."""
    light = _variables(COLOURS, UNLABELLED_COLOUR)
    dark = _variables(DARK_COLOURS, DARK_UNLABELLED_COLOUR)
    rest = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return (
        f"\n:root {{ {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{rest}"
    )


def _variables(colours: tuple[str, ...], unlabelled: str) -> str:
    series = " ".join(f"--c{number}: {colour};" for number, colour in enumerate(colours))
    return f"{series} --unlabelled: {unlabelled};"
