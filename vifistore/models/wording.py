"""Prompts of class names, as text. Imports no torch."""

from collections.abc import Sequence

from vifistore.errors import UsageError, short

# The paper's template for fine-tuned models (section 3; its code, datasets/labels).
PAPER_TEMPLATE = "a photo of a {}."
# Vanilla CLIP is scored with the bare class name there.
BARE_TEMPLATE = "{}"
# Learned text prompts stand for the words around the name; the paper's code ends them with a stop,
# and turns the underscores of the name into spaces, which it does for no other model.
PROMPT_TEMPLATE = "{}."
PROMPT_CLEANING = "spaces"


def check_templates(templates: Sequence[str]) -> None:
    """Raise UsageError for a template without exactly one `{}`, or with other braces."""
    for template in templates:
        if template.count("{}") != 1 or set("{}") & set(template.replace("{}", "", 1)):
            told = short(repr(template), 120)
            raise UsageError(f"template {told} must hold exactly one {{}} for the class name")


def fill(template: str, class_name: str) -> str:
    """Return the prompt of a class; the name may hold braces."""
    return template.replace("{}", class_name)
