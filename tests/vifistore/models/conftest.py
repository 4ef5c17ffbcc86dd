import pytest

from vifistore.models.registry import open_clip


@pytest.fixture(scope="module", autouse=True)
def models_of_this_module():
    """Models that a module registers with OpenCLIP are unknown to the next, which may count them
    among those that weights fit."""
    factory = open_clip.factory
    paths, configs = list(factory._MODEL_CONFIG_PATHS), dict(factory._MODEL_CONFIGS)
    yield
    factory._MODEL_CONFIG_PATHS[:] = paths
    factory._MODEL_CONFIGS = configs
