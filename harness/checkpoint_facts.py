"""What a checkpoint as a store tells it was trained as."""

from collections.abc import Mapping

# Of `vifi train --system`: what it is where none is asked for.
_TOWERS_ALONE = "vifi-clip"


def checkpoint_name(checkpoint: Mapping) -> str:
    """The first name of a checkpoint, or its digest; empty where there is no checkpoint."""
    return next(iter(checkpoint.get("names", ())), checkpoint.get("digest", ""))


def has_sigmoid(checkpoint: Mapping) -> bool:
    """Whether a checkpoint was trained with a sigmoid (SigLIP), and not again here."""
    settings, config = checkpoint.get("settings") or {}, checkpoint.get("config") or {}
    is_siglip = "logit_bias" in settings or config.get("init_logit_bias") is not None
    return is_siglip and "fusion" not in settings


def trained_system(checkpoint: Mapping) -> str:
    """The system that has parts beside CLIP's towers (`vifi train --system`); empty for others."""
    system = (checkpoint.get("settings") or {}).get("system") or ""
    return "" if system == _TOWERS_ALONE else str(system)


def trained_fusion(checkpoint: Mapping) -> str:
    """The fusion a checkpoint was fine-tuned with; empty where its settings do not say."""
    return str((checkpoint.get("settings") or {}).get("fusion", ""))
