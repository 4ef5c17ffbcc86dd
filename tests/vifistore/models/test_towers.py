"""Towers: found, loaded, digested, and refused where weights and model do not belong together."""

import logging
import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from vifistore.errors import ModelError, UnknownNameError, UsageError
from vifistore.models.checkpoint_files import CheckpointHeader, read_header, save_checkpoint
from vifistore.models.registry import model_config
from vifistore.models.skeletons import empty_model, new_model
from vifistore.models.text_embedding import encode_classes, text_fields
from vifistore.models.tower_digests import tower_digests
from vifistore.models.towers import load_model
from vifistore.store.schema import check_name

TINY = "vifi-tiny"


@pytest.fixture(scope="module")
def tiny():
    return load_model(TINY, "none")


def header(name: str = "start", **config: object) -> CheckpointHeader:
    return CheckpointHeader(
        model=TINY, config=model_config(TINY) | config, name=name, step=3, parent="p", settings={}
    )


def test_random_weights_are_loud_and_the_same_every_time(tiny, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    again = load_model(TINY, "none")
    assert "RANDOM" in caplog.text
    assert (again.image_digest, again.text_digest) == (tiny.image_digest, tiny.text_digest)


def test_file_gives_the_same_digests_as_memory(tiny, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, tiny.clip.state_dict(), header())
    found = load_model(TINY, str(path))
    assert found.digest == tiny.digest
    assert (found.name, found.step, found.parent) == ("start", 3, "p")
    assert read_header(path) == header()


def test_plain_state_dicts_load(tiny, tmp_path):
    torch.save({"state_dict": tiny.clip.state_dict()}, tmp_path / "a.pt")
    save_file(
        {f"module.{k}": v.clone() for k, v in tiny.clip.state_dict().items()},
        tmp_path / "b.safetensors",
    )
    assert load_model(TINY, str(tmp_path / "a.pt")).digest == tiny.digest
    assert load_model(TINY, str(tmp_path / "b.safetensors")).digest == tiny.digest


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *(("run@step-2", "run@step-2"), ("model (1)", "model-1"), ("Übung +1", "Ubung-+1")),
        *((".hidden", "hidden"), ("模型", "weights"), ("x" * 180, "x" * 100)),
    ],
)
def test_a_file_of_others_is_called_as_a_store_takes_it(tiny, tmp_path, file, name):
    path = tmp_path / f"{file}.pt"
    torch.save(tiny.clip.state_dict(), path)
    assert load_model(TINY, str(path)).name == name
    assert check_name("checkpoint", name) == name


def test_each_tower_has_its_own_digest(tiny):
    config, state = tiny.config, tiny.clip.state_dict()
    image, text = tower_digests(config, state)

    def changed(key: str) -> tuple[str, str]:
        return tower_digests(config, {**state, key: state[key] + 1})

    assert changed("visual.proj")[0] != image
    assert changed("visual.proj")[1] == text
    assert changed("text_projection")[0] == image
    assert changed("text_projection")[1] != text
    assert changed("logit_scale") == (image, text)
    assert tower_digests({**config, "quick_gelu": True}, state)[0] != image
    shuffled = dict(reversed(state.items()))
    assert tower_digests(config, shuffled) == (image, text)
    flat = {**state, "visual.proj": state["visual.proj"].flatten()}
    assert tower_digests(config, flat)[0] != image
    half = {k: v.half().float().half() for k, v in state.items()}
    assert tower_digests(config, half) == tower_digests(
        config, {k: v.half().float() for k, v in state.items()}
    )


def test_wrong_activation_names_the_right_model(tiny, tmp_path):
    with pytest.raises(ModelError, match="use --model ViT-B-16-quickgelu"):
        load_model("ViT-B-16", "openai")
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, tiny.clip.state_dict(), header(quick_gelu=True))
    with pytest.raises(ModelError, match="were trained with QuickGELU"):
        load_model(TINY, str(path))


def test_unknown_names_say_what_exists():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'ViT-B-32'\?"):
        load_model("ViT-B-33", "none")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'openai'\?"):
        load_model("ViT-B-32", "opnai")


def test_weights_that_do_not_fit_are_refused(tiny, tmp_path):
    state = {k: v.clone() for k, v in tiny.clip.state_dict().items()}
    save_file({k: v for k, v in state.items() if k != "visual.proj"}, tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"lacks 1 tensors: visual\.proj;"):
        load_model(TINY, str(tmp_path / "a.safetensors"))
    save_file({**state, "extra": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(ModelError, match="also has 1 tensors: extra;"):
        load_model(TINY, str(tmp_path / "b.safetensors"))
    save_file({**state, "visual.proj": torch.zeros(2)}, tmp_path / "c.safetensors")
    with pytest.raises(
        ModelError, match=r"misshapes 1 tensors: visual\.proj \[2\] for \[64, 64\];"
    ):
        load_model(TINY, str(tmp_path / "c.safetensors"))


def test_unreadable_and_missing_weights(tmp_path):
    with pytest.raises(ModelError, match="there are no weights at"):
        load_model(TINY, str(tmp_path / "none.pt"))
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"junk\.safetensors"):
        load_model(TINY, str(tmp_path / "junk.safetensors"))
    torch.save({"a": Fraction(1, 2)}, tmp_path / "pickle.pt")
    with pytest.raises(ModelError, match=r"\(fractions\.Fraction\) .* refused"):
        load_model(TINY, str(tmp_path / "pickle.pt"))


def test_unreachable_hub_is_one_quick_line(monkeypatch):
    monkeypatch.setattr("vifistore.models.hub._reachable", lambda url: False)
    with pytest.raises(ModelError, match="are not in the cache and cannot be fetched"):
        load_model("ViT-B-32-quickgelu", "openai")


def test_text_embeddings_are_those_of_the_model(tiny):
    import open_clip

    embeddings = encode_classes(tiny, ["a cat", "a dog"], ["{}", "see {}!"])
    tokens = open_clip.get_tokenizer(TINY)(["a cat", "see a cat!", "a dog", "see a dog!"])
    with torch.inference_mode():
        expected = tiny.clip.encode_text(tokens).numpy().reshape(2, 2, -1)
    assert abs(embeddings - expected).max() < 5e-6


@pytest.mark.parametrize("template", ["no place", "{} and {}", "{name}", "{0}"])
def test_bad_templates_are_refused(tiny, template):
    with pytest.raises(UsageError, match="exactly one"):
        text_fields(tiny, ["a"], [template])


def test_new_model_leaves_the_random_state_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    new_model(TINY, 3)
    assert torch.equal(torch.rand(1), expected)


def test_texts_that_become_equal_when_cut_are_refused(tiny):
    same = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    with pytest.raises(UsageError, match="become equal"):
        encode_classes(tiny, [f"{same} a", f"{same} b"], ["{}"])
    assert encode_classes(tiny, ["{curly}", "plain"], ["a {}"]).shape[0] == 2


class Called(TorchFunctionMode):
    """Notes which functions of torch are called, in the block that it opens."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.names.add(func.__name__)
        return func(*args, **(kwargs or {}))


def test_an_empty_model_is_not_filled_with_random_numbers_and_keeps_what_is_no_weight():
    filling = {"normal_", "uniform_", "kaiming_uniform_"}
    with Called() as called:
        made = new_model(TINY, 0)
    assert filling <= called.names
    with Called() as called:
        clip = empty_model(TINY, model_config(TINY))
    assert not filling & called.names
    assert torch.equal(clip.attn_mask, made.attn_mask)
    clip.load_state_dict(made.state_dict())
    tokens = torch.tensor([[1, 5, 9, 0]]).repeat(1, 4)[:, : clip.context_length]
    tokens = torch.nn.functional.pad(tokens, (0, clip.context_length - tokens.shape[1]))
    assert torch.equal(clip.eval().encode_text(tokens), made.eval().encode_text(tokens))


def test_what_opens_the_models_leaves_timm_and_the_compiler_to_who_calls_them():
    code = (
        "import sys, vifistore.models.registry as r; late = {'timm', 'torch._dynamo'};"
        "assert not late & set(sys.modules), late & set(sys.modules);"
        "import timm, torch._dynamo; assert timm.create_model and torch._dynamo.optimize;"
        "assert r.open_clip.timm_model.to_2tuple(3) == (3, 3)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_that_is_called_while_others_are_imported_is_the_real_one():
    code = (
        "import sys; from vifistore.models.deferred import deferred\n"
        "with deferred('json.tool', 'fractions'):\n"
        "    import fractions\n"
        "    assert type(fractions).__name__ == '_Deferred'\n"
        "    assert fractions.Fraction(1, 2) + 1 == 1.5\n"
        "import fractions; assert fractions.Fraction(3, 6).denominator == 2"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
