from harness.results.json_artefacts import AttentionFigure
from reports.page.page_figures import attention_figures
from reports.page.sections import gallery


def test_hits_show_verdict_moment_and_score(page):
    assert page.count('<li class="right">') == page.count('<li class="wrong">') == 1
    assert "1 of 2 right" in page
    assert "0.5–2.0 s · 0.310" in page
    assert page.count('<span class="no-picture">') == 2
    assert page.count("A hit is right if") == 1


def test_nothing_to_show(tmp_path):
    assert gallery(()) == []
    gone = [AttentionFigure(id="a", image="attention/gone.png")]
    assert attention_figures(tmp_path, gone) == []
