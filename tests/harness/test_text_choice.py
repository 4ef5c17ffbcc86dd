"""A checkpoint is scored with the prompts that it was trained with, unless others are asked for."""

import pytest

from harness.scoring import checkpoint_of, load_classes
from harness.text_choice import find_texts, fitting_texts
from vifi.scoring.scored_rows import choose_texts
from vifistore.errors import UsageError
from vifistore.store.identity import Identity

NAMES = ["class_0", "ApplyEyeMakeup", "class 2", "class 3", "class 4", "class 5"]
PROMPT = ("a photo of a {}.",)


@pytest.fixture
def maker(make_store):
    maker = make_store()
    maker.class_names = list(NAMES)
    return maker


def checkpoint(maker, identity: Identity) -> dict:
    maker.features(maker.frames(), identity=identity)
    return checkpoint_of(maker.store.features("toy", "tiny"))


def test_the_trained_prompts_win(maker):
    found = checkpoint(maker, Identity(templates=PROMPT, cleaning="words"))
    bare, raw = maker.texts(), maker.texts(templates=PROMPT)
    # Other texts are better than none: the row says that they are others.
    assert find_texts(maker.store, found, NAMES) == raw
    wanted = maker.texts(templates=PROMPT, cleaning="words")
    maker.texts(templates=PROMPT, cleaning="spaces")
    assert find_texts(maker.store, found, NAMES) == wanted
    assert find_texts(maker.store, found, NAMES, how="as-is", templates=("{}",)) == bare
    assert find_texts(maker.store, found, NAMES, how="as-is") == raw
    classes = load_classes(maker.store.features("toy", "tiny"), NAMES)
    assert (classes.text_set, classes.templates, classes.cleaning) == (wanted, PROMPT, "words")


def test_of_names_that_no_cleaning_changes_all_texts_are_those_trained(maker):
    found = checkpoint(maker, Identity(templates=PROMPT, cleaning="words"))
    plain = maker.texts(templates=PROMPT)
    assert find_texts(maker.store, found, NAMES[2:]) == plain
    both = maker.texts(templates=PROMPT, cleaning="words")
    assert find_texts(maker.store, found, NAMES[2:]) in (plain, both)
    assert [t["id"] for t in fitting_texts(maker.store, found, NAMES, PROMPT, "words")] == [both]


def test_without_knowing_the_training_it_must_be_clear(maker):
    found = checkpoint(maker, Identity())
    maker.texts()
    words = maker.texts(cleaning="words")
    with pytest.raises(UsageError, match=r"several .*\{\}, class names words.*--class-names"):
        find_texts(maker.store, found, NAMES)
    assert find_texts(maker.store, found, NAMES, how="words") == words


def test_texts_of_asked_templates_must_be_clear_as_well(maker):
    checkpoint(maker, Identity())
    ways = [maker.texts(templates=PROMPT, cleaning=how) for how in ("as-is", "words")]
    maker.split("val", range(6))
    with pytest.raises(UsageError, match="several text sets fit"):
        choose_texts(maker.store.features("toy", "tiny"), "val", PROMPT)
    assert choose_texts(maker.store.features("toy", "tiny"), "val", PROMPT, "words") == ways[1]
