from reports.figures.frequencies import class_frequencies


def test_frequencies_count_both_halves(frequencies, tmp_path, svg_texts):
    (path,) = class_frequencies(frequencies, tmp_path / "freq")
    total = frequencies[frequencies["subset"] == "base"]["count"].sum()
    assert f"base: 20 classes, {total:,} videos" in svg_texts(path)
