"""What is compared with what, where a study names systems by patterns."""

import tomllib

import pytest

from vifi.study.study_file import parse_study
from vifistore.errors import UnknownNameError, UsageError

SYSTEMS = """
[datasets.d]
[datasets.e]
[systems.clip]
model = "vifi-tiny"
pretrained = "x"
[systems."full-k{k}"]
each = { k = [2, 4, 16] }
model = "vifi-tiny"
pretrained = "x"
[systems."image-k{k}"]
each = { k = [16, 4, 2] }
model = "vifi-tiny"
pretrained = "x"
"""


def question(systems: str, against: str, dataset: str = "d"):
    text = f"""{SYSTEMS}
[questions.q]
ask = "evaluate few-shot"
systems = {systems}
against = {against}
dataset = "{dataset}"
"""
    return parse_study(tomllib.loads(text)).questions["q"]


def test_patterns_are_paired_by_what_stands_for_the_wild_part_whatever_the_order():
    found = question('["image-k*"]', '["full-k*"]')
    assert found.systems == ["image-k16", "image-k4", "image-k2"]
    assert found.against == ["full-k16", "full-k4", "full-k2"]
    some = question('["image-k[24]"]', '["full-k?"]')
    assert (some.systems, some.against) == (["image-k4", "image-k2"], ["full-k4", "full-k2"])


def test_names_are_paired_as_they_stand_and_one_is_for_all():
    assert question('["image-k*"]', '["clip"]').against == ["clip"]
    named = question('["image-k*"]', '["full-k2", "full-k4", "full-k16"]')
    assert named.against == ["full-k2", "full-k4", "full-k16"]


@pytest.mark.parametrize(
    ("systems", "against", "told"),
    [
        ('["image-k*"]', '["full-k?"]', "and 16 is of one of them alone"),
        # One that matches is no baseline of all.
        ('["image-k*"]', '["full-k1*"]', "are compared by what stands for their *"),
        ('["image-k*"]', '["full-k[!2]"]', "name the systems one by one"),
    ],
)
def test_patterns_that_do_not_fit_are_refused(systems, against, told):
    with pytest.raises(UsageError) as error:
        question(systems, against)
    assert told in str(error.value)


def test_a_pattern_of_nothing_is_an_unknown_system():
    with pytest.raises(UnknownNameError, match="gone"):
        question('["image-k*"]', '["gone*"]')


def test_two_systems_of_one_name_in_a_dataset_are_refused():
    named = SYSTEMS.replace('[systems."image', 'features = "full"\n[systems."image')
    ask = '[questions.q]\nask = "evaluate zero-shot"\nsystems = ["full-k2"]\ndataset = "d"\n'
    other = ask.replace("questions.q", "questions.r").replace("full-k2", "full-k4")
    told = "systems full-k2 and full-k4 are both called full in d"
    with pytest.raises(UsageError, match=told):
        parse_study(tomllib.loads(named + ask + other))
    elsewhere = other.replace('dataset = "d"', 'dataset = "e"')
    assert len(parse_study(tomllib.loads(named + ask + elsewhere)).questions) == 2
