from matplotlib.figure import Figure

from reports.figures.figure_style import COLOURS, MARKERS, draw, legend_label, series_style


def plot(figure: Figure) -> None:
    figure.set_size_inches(2, 1)
    axes = figure.subplots()
    axes.set_title("$x_ no formula $")
    axes.plot([0, 1])


def test_three_formats_the_same_bytes_each_time(tmp_path):
    first = draw(tmp_path / "a.32f", plot)
    assert [path.name for path in first] == ["a.32f.png", "a.32f.svg", "a.32f.pdf"]
    second = draw(tmp_path / "b", plot)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_all_pairs_of_colour_and_marker_differ():
    pairs = {tuple(series_style(i).values()) for i in range(len(COLOURS) * len(MARKERS))}
    assert len(pairs) == len(COLOURS) * len(MARKERS) == 49


def test_colours_are_seen_on_white():
    for colour in COLOURS:
        assert contrast_with_white(colour) > 1.9


def contrast_with_white(colour: str) -> float:
    """WCAG 2 contrast ratio."""
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)


def test_labels_are_neither_hidden_nor_endless():
    assert legend_label("_hidden") == " _hidden"
    assert legend_label("x" * 40) == "x" * 27 + "…"
