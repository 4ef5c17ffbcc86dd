import pytest

from reports.paper.paper_settings import is_paper_setting


@pytest.mark.parametrize(
    ("setting", "is_papers"),
    [
        (("ViT-B-16", "hmdb51", "novel", 25), True),
        (("ViT-B-16", "hmdb51", "novel", 51), False),
        (("ViT-B-16", "k600", "all", 160), True),
        (("ViT-B-16", "k600", "all", 600), False),
        (("ViT-B-16-quickgelu", "ssv2", "base", 87), True),
        (("ViT-B-32", "ssv2", "base", 87), False),
        ((None, "k400", "all", 400), False),
        ((["ViT-B-16"], "k400", "all", 400), False),
        (("ViT-B-16", "own", "all", 24), False),
    ],
)
def test_model_and_classes_of_the_paper(setting, is_papers):
    assert is_paper_setting(*setting) == is_papers
