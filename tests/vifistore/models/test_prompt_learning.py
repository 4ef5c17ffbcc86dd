"""Deep prompts: the formula, what learns, what is saved, and that none means none."""

import copy
import dataclasses

import pytest
import torch

from vifistore.errors import ModelError, UsageError
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.openclip_model import OpenClipModel
from vifistore.models.prompt_learning import (
    FIRST_WORDS,
    IMAGE_KEY,
    TEXT_KEY,
    PromptSettings,
    add_prompts,
    num_text_prompts,
    prompt_parameters,
    prompt_state,
    remove_prompts,
)
from vifistore.models.registry import model_config, open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.text_embedding import default_templates, encode_classes
from vifistore.models.tower_digests import tower_digests
from vifistore.models.towers import load_model

TINY = "vifi-tiny"
SETTINGS = PromptSettings(image_prompts=3, image_depth=2, text_prompts=5, text_depth=2)
PIXELS = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def loaded() -> OpenClipModel:
    return load_model(TINY, "none")


@pytest.fixture
def prompted(loaded) -> OpenClipModel:
    add_prompts(loaded.clip, SETTINGS, seed=3)
    return loaded


def plain_image(clip: torch.nn.Module, pixels: torch.Tensor, prompts: torch.Tensor):
    """The formula, step by step: `prompts` is [layer prompt width]."""
    tower, num_prompts = clip.visual, prompts.shape[1]
    patches = tower.conv1(pixels).flatten(2).transpose(1, 2)
    first = tower.class_embedding.expand(len(pixels), 1, -1)
    x = torch.cat([first, patches], dim=1) + tower.positional_embedding
    x = torch.cat([x, prompts[0].expand(len(pixels), -1, -1)], dim=1)
    x = tower.ln_pre(x)
    for number, block in enumerate(tower.transformer.resblocks):
        if 0 < number < len(prompts):
            x = x.clone()
            x[:, -num_prompts:] = prompts[number]
        x = _block(block, x, None)
    return tower.ln_post(x[:, 0]) @ tower.proj


@pytest.mark.parametrize(
    ("num_prompts", "template"),
    [(1, "photo of a {}."), (2, "of a {}."), (3, "a {}."), (4, "{}.")],
)
def test_few_vectors_stand_for_the_first_words_of_the_released_code_s_text(
    loaded, num_prompts, template
):
    whole = loaded.text_side.tokens(["a photo of a brush hair."])
    settings = PromptSettings(image_prompts=0, text_prompts=num_prompts, text_depth=1)
    add_prompts(loaded.clip, settings, seed=3)
    found = loaded.text_side.tokens([template.format("brush hair")])
    assert torch.equal(found[:, 1 + num_prompts :], whole[:, 1 + num_prompts :])


def plain_text(clip: torch.nn.Module, tokens: torch.Tensor, prompts: torch.Tensor):
    num_prompts = prompts.shape[1]
    x = clip.token_embedding.weight[tokens].clone()
    x[:, 1 : 1 + num_prompts] = prompts[0]
    x = x + clip.positional_embedding
    for number, block in enumerate(clip.transformer.resblocks):
        if 0 < number < len(prompts):
            x = x.clone()
            x[:, 1 : 1 + num_prompts] = prompts[number]
        x = _block(block, x, clip.attn_mask)
    x = clip.ln_final(x)[torch.arange(len(x)), tokens.argmax(dim=1)]
    return x @ clip.text_projection


def _block(block: torch.nn.Module, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    normed = block.ln_1(x)
    x = x + block.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
    return x + block.mlp(block.ln_2(x))


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_image_tower_is_the_formula(loaded, depth):
    add_prompts(loaded.clip, dataclasses.replace(SETTINGS, image_depth=depth), seed=3)
    prompts = prompt_state(loaded.clip)[IMAGE_KEY]
    assert prompts.shape == (depth, 3, 64)
    with torch.no_grad():
        expected = plain_image(loaded.clip, PIXELS, prompts)
        assert torch.allclose(loaded.clip.encode_image(PIXELS), expected, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 2])
def test_text_tower_is_the_formula(loaded, depth):
    add_prompts(loaded.clip, dataclasses.replace(SETTINGS, text_depth=depth), seed=3)
    prompts = prompt_state(loaded.clip)[TEXT_KEY]
    tokens = open_clip.get_tokenizer(TINY)(["X X X X X run.", "X X X X X jump high."])
    assert torch.equal(loaded.text_side.tokens(["run.", "jump high."]), tokens)
    with torch.no_grad():
        expected = plain_text(loaded.clip, tokens, prompts)
        assert torch.allclose(loaded.clip.encode_text(tokens), expected, atol=1e-5)
    assert abs(loaded.text_side.encode(["run.", "jump high."]) - expected.numpy()).max() < 1e-5


def test_first_words_are_those_of_the_paper():
    start_words_end = open_clip.get_tokenizer(TINY)(["a photo of a"])[0, :6].tolist()
    assert tuple(start_words_end[1:5]) == FIRST_WORDS
    assert start_words_end[5] == 49407


def test_four_vectors_start_as_the_template_they_replace(loaded):
    expected = encode_classes(loaded, ["run", "jump"], ["a photo of a {}."])
    settings = PromptSettings(image_prompts=0, text_prompts=4, text_depth=1)
    add_prompts(loaded.clip, settings, seed=0)
    assert default_templates(loaded) == ("{}.",)
    assert abs(encode_classes(loaded, ["run", "jump"], ["{}."]) - expected).max() < 1e-5


def test_no_vectors_or_no_depth_is_the_model_itself(loaded):
    tokens = loaded.text_side.tokens(["run"])
    before = loaded.clip.encode_image(PIXELS), loaded.clip.encode_text(tokens)
    for settings in (
        PromptSettings(image_depth=0, text_depth=0),
        PromptSettings(image_prompts=0, text_prompts=0),
    ):
        assert add_prompts(loaded.clip, settings, seed=0) == []
        assert torch.equal(loaded.clip.encode_image(PIXELS), before[0])
        assert torch.equal(loaded.clip.encode_text(loaded.text_side.tokens(["run"])), before[1])
    assert default_templates(loaded) == ("a photo of a {}.",)


def test_removing_gives_back_the_model_and_the_vectors(loaded):
    clean = loaded.clip.state_dict()
    before = loaded.clip.encode_image(PIXELS)
    add_prompts(loaded.clip, SETTINGS, seed=3)
    vectors = prompt_state(loaded.clip)
    assert not torch.equal(loaded.clip.encode_image(PIXELS), before)
    removed = remove_prompts(loaded.clip)
    assert removed.keys() == {IMAGE_KEY, TEXT_KEY}
    assert all(torch.equal(removed[key], vectors[key]) for key in vectors)
    assert loaded.clip.state_dict().keys() == clean.keys()
    assert torch.equal(loaded.clip.encode_image(PIXELS), before)
    assert prompt_parameters(loaded.clip) == []


@pytest.mark.parametrize("checkpointing", [False, True])
def test_only_prompts_take_gradients(prompted, checkpointing):
    clip = prompted.clip
    clip.set_grad_checkpointing(checkpointing)
    clip.requires_grad_(False)
    for vectors in prompt_parameters(clip):
        vectors.requires_grad_(True)
    image, text = (
        clip.encode_image(PIXELS),
        clip.encode_text(prompted.text_side.tokens(["run", "jump"])),
    )
    (image @ text.T).square().sum().backward()
    with_gradient = {name for name, p in clip.named_parameters() if p.grad is not None}
    assert with_gradient == {IMAGE_KEY, TEXT_KEY}
    for vectors in prompt_parameters(clip):
        # Every layer of every vector is reached.
        assert (vectors.grad.abs().amax(dim=-1) > 0).all()


def test_a_copy_reads_its_own_vectors(prompted):
    tower = copy.deepcopy(prompted.clip.visual)
    before = prompted.clip.visual(PIXELS)
    assert torch.equal(tower(PIXELS), before)
    with torch.no_grad():
        tower.prompts.vectors.add_(1)
    assert torch.equal(prompted.clip.visual(PIXELS), before)
    assert not torch.equal(tower(PIXELS), before)
    assert tower.to(torch.bfloat16)(PIXELS.bfloat16()).dtype == torch.bfloat16


def test_files_keep_prompts_and_digests_count_them(prompted, tmp_path):
    path = tmp_path / "prompted.safetensors"
    header = CheckpointHeader(
        model=TINY, config=model_config(TINY), name="p", step=1, parent="", settings={}
    )
    save_checkpoint(path, prompted.clip.state_dict(), header)
    found = load_model(TINY, str(path))
    assert num_text_prompts(found.clip) == 5
    with torch.inference_mode():
        assert torch.equal(found.clip.encode_image(PIXELS), prompted.clip.encode_image(PIXELS))
    digests = tower_digests(found.config, found.clip.state_dict())
    plain = load_model(TINY, "none")
    assert digests == (found.image_digest, found.text_digest)
    assert digests[0] != plain.image_digest
    assert digests[1] != plain.text_digest
    remove_prompts(found.clip)
    bare = tower_digests(found.config, found.clip.state_dict())
    assert bare == (plain.image_digest, plain.text_digest)


def test_each_digest_counts_its_own_prompts(prompted):
    state, config = prompted.clip.state_dict(), prompted.config
    image, text = tower_digests(config, state)
    other = tower_digests(config, {**state, IMAGE_KEY: state[IMAGE_KEY] + 1})
    assert other == (other[0], text)
    assert other[0] != image
    other = tower_digests(config, {**state, TEXT_KEY: state[TEXT_KEY] + 1})
    assert other == (image, other[1])
    assert other[1] != text


def test_same_seed_same_prompts():
    first, second, third = (
        add_prompts(new_model(TINY, 0), SETTINGS, seed=seed) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], third[0])


def test_what_does_not_fit_is_refused(loaded):
    with pytest.raises(UsageError, match="at most 4"):
        add_prompts(loaded.clip, dataclasses.replace(SETTINGS, image_depth=5), seed=0)
    with pytest.raises(UsageError, match="at most 13"):
        add_prompts(loaded.clip, dataclasses.replace(SETTINGS, text_prompts=14), seed=0)
    with pytest.raises(UsageError, match="text_depth is -1"):
        PromptSettings(text_depth=-1)
    with pytest.raises(ModelError, match="ViT-B-16-quickgelu"):
        add_prompts(new_model("RN50", 0), SETTINGS, seed=0)
    assert prompt_parameters(loaded.clip) == []


def test_a_model_says_what_it_is(loaded):
    assert repr(loaded) == f"<OpenClipModel {loaded.name} of vifi-tiny: {loaded.digest}>"
