"""The bias of a sigmoid, of models that were trained with one (SigLIP): a field of their records
and texts alone, absent in all others, whose probabilities are a softmax's."""

from collections.abc import Mapping

LOGIT_BIAS = "logit_bias"


def bias_field(bias: float | None) -> dict[str, float]:
    """The field of a record or a text set; none where there is no bias."""
    return {} if bias is None else {LOGIT_BIAS: float(bias)}


def bias_kind(found: Mapping) -> dict[str, type]:
    """The type of the field among attributes that have it, for `require_fields`."""
    return {LOGIT_BIAS: float} if LOGIT_BIAS in found else {}


def scored_by(checkpoint: Mapping) -> dict:
    """What the texts of a checkpoint's record are found by (`Store.find_texts`): its text tower,
    and what makes probabilities of cosines with it."""
    fields = {key: checkpoint[key] for key in ("text_digest", "logit_scale")}
    return {**fields, LOGIT_BIAS: checkpoint.get(LOGIT_BIAS)}
