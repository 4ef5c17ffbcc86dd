"""Prompts of class names. Imports no torch."""

from collections.abc import Sequence

from vifistore.errors import UsageError


def check_templates(templates: Sequence[str]) -> None:
    """Raise UsageError for a template without exactly one `{}`, or with other braces."""
    for template in templates:
        if template.count("{}") != 1 or set("{}") & set(template.replace("{}", "", 1)):
            raise UsageError(f"template {template!r} must hold exactly one {{}} for the class name")
