"""ActionCLIP's own files are read: towers, head, and what its code says of both."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.vifistore.models import tiny_models
from tests.vifistore.models.actionclip.test_frame_heads import stirred
from vifi.__main__ import run
from vifistore.errors import ModelError
from vifistore.models.actionclip.action_texts import ACTIONCLIP_TEMPLATES
from vifistore.models.actionclip.frame_heads import HeadSizes
from vifistore.models.checkpoint_files import CheckpointHeader, save_checkpoint
from vifistore.models.openclip_model import require_openclip
from vifistore.models.registry import open_clip
from vifistore.models.skeletons import new_model
from vifistore.models.system_modules import system_of
from vifistore.models.towers import load_model
from vifistore.training.systems.actionclip import ActionClipSystem
from vifistore.training.training_settings import TrainSettings

MODEL, DIM = "vifi-test-clip", 24
KINDS = {
    "transf": HeadSizes(head="transf", dim=DIM, positions=16, layers=2),
    "lstm": HeadSizes(head="lstm", dim=DIM),
    "conv1d": HeadSizes(head="conv1d", dim=DIM),
    "transf-cls": HeadSizes(head="transf-cls", dim=DIM, positions=4, layers=2),
}
# Our names -> those of its modules/Visual_Prompt.py.
_THEIRS = {
    "transf": {
        "positions": "frame_position_embeddings.weight",
        **{"blocks.": "transformer.resblocks.", ".attention.": ".attn."},
        **{".attention_norm.": ".ln_1.", ".mlp_norm.": ".ln_2."},
        **{".widen.": ".mlp.c_fc.", ".narrow.": ".mlp.c_proj."},
    },
    "lstm": {"lstm.": "lstm_visual."},
    "conv1d": {},
    "transf-cls": {
        **{"blocks.": "transformer.transformer_enc.", "positions": "transformer.pos_embed"},
        "class_token": "transformer.cls_token",
    },
}


@pytest.fixture(scope="module", autouse=True)
def tiny(models_of_this_module, tmp_path_factory):
    tiny_models.register(tmp_path_factory.mktemp("models"))


def theirs(kind: str, head: torch.nn.Module) -> dict:
    """The weights of a head as its training saves them, under DataParallel."""
    named = {}
    for key, value in head.float().state_dict().items():
        for ours, their in _THEIRS[kind].items():
            key = key.replace(ours, their)
        if kind == "transf-cls" and key.endswith(("cls_token", "pos_embed")):
            value = value[None]
        named[f"module.{key}"] = value
    # Every head but the mean has this table; one reads it.
    named.setdefault("module.frame_position_embeddings.weight", torch.zeros(16, DIM))
    return named


def write(path: Path, fusion: dict) -> dict:
    clip = new_model(MODEL, 5).state_dict()
    optimiser = {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-5}]}
    content = {"epoch": 9, "model_state_dict": {k: v.half() for k, v in clip.items()}}
    torch.save(
        {**content, "fusion_model_state_dict": fusion, "optimizer_state_dict": optimiser}, path
    )
    return clip


@pytest.mark.parametrize("kind", KINDS)
def test_towers_and_head_of_a_file(tmp_path, kind):
    head = stirred(KINDS[kind])
    clip = write(tmp_path / "model_best.pt", theirs(kind, head))
    loaded = load_model(MODEL, str(tmp_path / "model_best.pt"))
    frames = 3 if kind == "transf-cls" else 0
    assert system_of(loaded.clip)["head"] == kind
    assert (loaded.kind, loaded.num_frames, loaded.num_outputs) == ("clip", frames, 1)
    assert loaded.logit_scale == 100.0
    assert loaded.identity.templates == ACTIONCLIP_TEMPLATES
    assert loaded.preprocessing_from == "ActionCLIP's"
    plain = new_model(MODEL, 5).eval()
    plain.load_state_dict({key: value.half().float() for key, value in clip.items()})
    pixels = torch.randn(2, 3, 3, 32, 32)
    with torch.inference_mode():
        embedded = plain.encode_image(pixels.flatten(0, 1)).unflatten(0, (2, 3))
        expected = head.float().outputs(embedded).mean(1)
        found = loaded.image_tower(pixels)
    torch.testing.assert_close(found.reshape(2, DIM), expected, rtol=1e-5, atol=1e-5)


def test_the_text_tower_is_known_by_itself_and_the_head_with_the_image_tower(tmp_path):
    write(tmp_path / "a.pt", theirs("lstm", stirred(KINDS["lstm"])))
    write(tmp_path / "b.pt", theirs("conv1d", stirred(KINDS["conv1d"])))
    write(tmp_path / "mean.pt", {})
    first, second, mean = (load_model(MODEL, str(tmp_path / f"{n}.pt")) for n in ("a", "b", "mean"))
    assert first.text_digest == second.text_digest == mean.text_digest
    assert len({loaded.image_digest for loaded in (first, second, mean)}) == 3
    # A mean has nothing to learn: its towers are those of a CLIP.
    plain = new_model(MODEL, 5).state_dict()
    save_file({key: value.half() for key, value in plain.items()}, tmp_path / "plain.safetensors")
    clip = load_model(MODEL, str(tmp_path / "plain.safetensors"))
    assert (mean.image_digest, mean.kind) == (clip.image_digest, "frame")
    assert require_openclip(mean, "x") is mean
    with pytest.raises(ModelError, match="frames one by one"):
        require_openclip(first, "x")


def test_a_mean_is_scored_as_its_code_does_and_trained_on(tmp_path, capsys):
    write(tmp_path / "mean.pt", {})
    assert (
        run(
            [
                "convert",
                *(str(tmp_path / n) for n in ("mean.pt", "ours.safetensors")),
                "--model",
                MODEL,
            ]
        )
        == 0
    )
    assert "OpenCLIP cannot use" not in capsys.readouterr().err
    for name in ("mean.pt", "ours.safetensors"):
        loaded = load_model(MODEL, str(tmp_path / name))
        assert system_of(loaded.clip) == {"name": "actionclip", "frames": 0, "head": "mean"}
        assert loaded.logit_scale == 100.0
        assert loaded.identity.templates == ACTIONCLIP_TEMPLATES
        assert loaded.settings == {"system": "actionclip"}
    settings = TrainSettings(system="actionclip", frame_head="mean", num_frames=3)
    ActionClipSystem().add_modules(loaded.clip, settings)
    assert system_of(loaded.clip)["frames"] == 3


def test_a_file_is_converted_to_ours_with_its_head(tmp_path, capsys):
    write(tmp_path / "best.pt", theirs("lstm", stirred(KINDS["lstm"])))
    convert = ("convert", str(tmp_path / "best.pt"))
    assert run([*convert, str(tmp_path / "ours.safetensors"), "--model", MODEL]) == 0
    assert "modules of actionclip, which OpenCLIP cannot use" in capsys.readouterr().err
    first, again = (load_model(MODEL, str(tmp_path / n)) for n in ("best.pt", "ours.safetensors"))
    assert (again.digest, again.kind) == (first.digest, "clip")
    assert again.identity.templates == ACTIONCLIP_TEMPLATES
    assert run([*convert, str(tmp_path / "ours.pt"), "--model", MODEL]) == 2
    assert "give an OUT that ends in .safetensors" in capsys.readouterr().err


def header(system: dict) -> CheckpointHeader:
    config = open_clip.get_model_config(MODEL)
    return CheckpointHeader(
        model=MODEL, config=config, name="x", step=0, parent="", settings={}, system=system
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"head": "other"}, "head is 'other'"),
        ({"layers": 65}, "has 65 as layers"),
        ({"layers": "2"}, "has '2' as layers"),
        ({"positions": -1}, "has -1 as positions"),
        ({"layers": 3}, r"not of the sizes that it says: blocks\.2"),
        ({"positions": 60000}, r"positions is \[16, 24\] and not \[60000, 24\]"),
    ],
)
def test_sizes_that_cannot_be(tmp_path, changes, told):
    state = new_model(MODEL, 0).state_dict()
    head = stirred(KINDS["transf"]).float().state_dict()
    state |= {f"visual.added.{key}": value for key, value in head.items()}
    system = {"name": "actionclip", "head": "transf", "frames": 16, "positions": 16, "layers": 2}
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, state, header(system))
    assert load_model(MODEL, str(path)).num_outputs == 16
    save_checkpoint(path, state, header({**system, **changes}))
    with pytest.raises(ModelError, match=told):
        load_model(MODEL, str(path))


def test_a_head_of_another_width_is_refused(tmp_path):
    write(tmp_path / "x.pt", theirs("lstm", stirred(HeadSizes(head="lstm", dim=8))))
    with pytest.raises(ModelError, match=r"lstm\.\w+ is \[\d+.* copy the file again"):
        load_model(MODEL, str(tmp_path / "x.pt"))
