"""The command of a question, and the steps that it needs."""

from vifi.study.study_parts import Question, Study, StudySystem
from vifi.study.words import Command, Places, flag_words, makers_of, weights_of

# What names feature sets to a verb; `--features` where it is none of these.
_NAMES_BY = {"attention": "--checkpoints"}
# Verbs that write one file a call beside their rows.
_DRAWS_TO = ("tsne",)


def needs_of(study: Study, question: Question) -> tuple[str, ...]:
    """Names of the steps that come before a question."""
    named = dict.fromkeys([*question.systems, *question.against, *question.beside])
    systems = [study.systems[name] for name in named]
    if question.is_of_weights:
        return tuple(step for system in systems for step in _makers(study, system))
    return tuple(_encoded(system, dataset) for system in systems for dataset in question.asked_of)


def _makers(study: Study, system: StudySystem) -> tuple[str, ...]:
    """The step that makes weights; where none does, all that is prepared."""
    return makers_of(study, system) or tuple(f"prepare {name}" for name in study.prepare)


def _encoded(system: StudySystem, dataset: str) -> str:
    """The step that makes the feature set of a system in a dataset."""
    is_trained_there = system.head and dataset == system.dataset
    return f"train {system.name}" if is_trained_there else f"extract {system.name} of {dataset}"


def asked(study: Study, places: Places, question: Question) -> Command:
    """The command."""
    if question.is_of_weights:
        return _of_weights(study, places, question)
    verb, *words = question.ask.split()
    to = ("--out", str(places.out / question.name)) if verb in _DRAWS_TO else ()
    named = (_NAMES_BY.get(verb, "--features"), *_features(study, question.systems))
    if question.against:
        named += ("--against", *_features(study, question.against))
    of = ("--dataset", *question.asked_of)
    words_of = (verb, places.store, *words, *of, *named, *flag_words(question.flags))
    return (*words_of, *to, "--results", str(places.out))


def _of_weights(study: Study, places: Places, question: Question) -> Command:
    """Of the one system: its model and its weights, or those of a head."""
    system = study.systems[question.systems[0]]
    model = weights_of(study, places, system)
    if system.head:
        model = (*model[:2], "--head", places.run(system))
    named = ("--features", system.feature_name, *flag_words(question.flags))
    return (*question.ask.split(), *model, *named, "--results", str(places.out))


def _features(study: Study, systems: list[str]) -> list[str]:
    """What their feature sets are called, each once."""
    return list(dict.fromkeys(study.systems[name].feature_name for name in systems))
