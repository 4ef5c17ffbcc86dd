"""Is a value from a JSON document of the type that a field has?"""

from vifistore.errors import short

_WORDS = {
    str: "a text",
    str | None: "a text or null",
    int: "a whole number",
    int | None: "a whole number or null",
    float: "a number",
    float | None: "a number or null",
    bool | None: "true, false or null",
    tuple[str, ...]: "a list of texts",
    dict: "an object",
}


def check_type(name: str, value: object, kind: object) -> None:
    """Raise ValueError unless the field `name` may hold `value`; `kind` is one of those above."""
    if kind == tuple[str, ...]:
        fits = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    else:
        accepted = kind | int if kind in (float, float | None) else kind
        # To Python true and false are whole numbers.
        is_stray = isinstance(value, bool) and kind != bool | None
        fits = isinstance(value, accepted) and not is_stray
    if not fits:
        raise ValueError(f"{name} {short(repr(value))} is not {_WORDS[kind]}")
