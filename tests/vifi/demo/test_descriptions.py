"""Every class of the demo is described, within what a text of the tiny CLIP has room for."""

import pytest

from vifi.demo.descriptions import SENTENCES, described, write_descriptions
from vifi.demo.mini_datasets import MINI_DATASETS
from vifi.demo.motions import MOTIONS
from vifistore.models.clip_tokens import tokenize
from vifistore.models.config_files import find_config
from vifistore.store.described import read_descriptions, texts_in_order


def test_every_motion_is_told_in_sentences_of_its_own():
    assert SENTENCES.keys() == MOTIONS.keys()
    assert all(len(texts) >= 3 for texts in SENTENCES.values())


@pytest.mark.parametrize("name", MINI_DATASETS)
def test_a_class_has_texts_that_no_other_of_its_dataset_has(name, tmp_path):
    dataset = MINI_DATASETS[name]
    path = write_descriptions([dataset], tmp_path)
    found = read_descriptions(path)
    assert list(found) == dataset.class_names
    # Two classes of the same texts would be refused.
    assert texts_in_order(dataset.class_names, found) == list(described(dataset).values())


def test_no_sentence_is_cut():
    every = [described(dataset).values() for dataset in MINI_DATASETS.values()]
    texts = [text for classes in every for of_class in classes for text in of_class]
    config = find_config("vifi-tiny")
    assert config is not None
    room = config["text_cfg"]["context_length"]
    assert max(map(len, tokenize(texts, 10 * room))) <= room
