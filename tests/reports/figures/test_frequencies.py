from reports.figures.frequencies import class_frequencies


def test_frequencies_count_both_halves(frequencies, tmp_path, svg_texts):
    (path,) = class_frequencies(frequencies, tmp_path / "freq")
    total = frequencies[frequencies["subset"] == "base"]["count"].sum()
    assert f"base: 20 classes, {total:,} videos" in svg_texts(path)


def test_few_classes_are_named_and_no_legend_covers_bars(frequencies, tmp_path, svg_texts):
    few = frequencies.groupby("subset").head(4)
    (path,) = class_frequencies(few, tmp_path / "few")
    assert set(few["class"]) <= set(svg_texts(path))
    (path,) = class_frequencies(frequencies, tmp_path / "many")
    assert not set(frequencies["class"]) & set(svg_texts(path))
