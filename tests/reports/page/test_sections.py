def test_pairs_with_their_share_and_every_class(page):
    assert '<td class="number">7</td>\n<td class="number">10</td>\n<td>70%</td>' in page
    assert page.index("a square") < page.index("<td>y</td>")
    assert "Recall of 2 classes: shapes" in page
    assert '<td style="--share: 0.300">30.0<small>[10.0, 50.0]</small></td>' in page
    assert "<td>undefined</td>" in page
