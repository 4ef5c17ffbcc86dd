"""Models of transformers as encoders, held to the classes of transformers called by hand."""

import json
import logging
import shutil

import numpy as np
import pytest
import torch

from tests.vifistore.models.hf_folders import CONTEXT, MODELS, write_folder
from vifistore.errors import ModelError, TextTowerError, UnknownNameError, UsageError
from vifistore.frames.preprocess import preprocess, preprocessing_of
from vifistore.models.hub import quiet
from vifistore.models.load_settings import WeightsSettings
from vifistore.models.text_embedding import encode_classes
from vifistore.models.towers import load_model

transformers = pytest.importorskip("transformers")
TEXTS = ["a photo of run", "a video of the red square moving", "person"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("hf")
    return {name: write_folder(top / name, name) for name in MODELS}


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("vifi"), "propagate", True)
    return caplog


def theirs(folder, class_name):
    with quiet():
        return getattr(transformers, class_name).from_pretrained(folder).eval()


def close(found, expected):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "class_name"),
    [("clip", "CLIPModel"), ("siglip", "SiglipModel"), ("videoprism", "VideoPrismClipModel")],
)
def test_embeddings_are_those_of_the_class(folders, name, class_name):
    loaded, model = load_model(f"hf:{folders[name]}", ""), theirs(folders[name], class_name)
    pixels = torch.rand(2, *((4,) if name == "videoprism" else ()), 3, *loaded.image_size)
    tokens = transformers.AutoTokenizer.from_pretrained(folders[name])
    options = {"padding": "max_length", "max_length": CONTEXT, "return_tensors": "pt"}
    with torch.inference_mode():
        if name == "videoprism":
            images = model.get_video_features(pixel_values_videos=pixels).pooler_output[:, 0]
        else:
            images = model.get_image_features(pixel_values=pixels).pooler_output
        # As VideoPrism's own code makes them.
        words = [f"{text}." for text in TEXTS] if name == "videoprism" else TEXTS
        given = [tokens([text], **options) for text in words]
        for one in given if name == "siglip" else ():
            del one["attention_mask"]
        texts = torch.cat([model.get_text_features(**one).pooler_output for one in given])
        close(loaded.image_tower(pixels), images)
    close(loaded.text_side.encode(TEXTS), texts)
    assert loaded.dim == images.shape[1] == texts.shape[1]


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("siglip2", ["A Photo of run", "a photo of Run"]),
        ("siglip", ["A Photo of run", "a photo of Run"]),
        ("videoprism", ["A  photo, of (run)", "a photo of run.", "a photo of run"]),
    ],
)
def test_texts_are_cleaned_as_in_training(folders, name, same):
    texts = load_model(f"hf:{folders[name]}", "").text_side
    assert len(texts.tokens(same).unique(dim=0)) == 1
    assert len(texts.tokens([same[0], "photo"]).unique(dim=0)) == 2
    assert texts.tokens(["a photo"])[0, -1] == 0
    # CLIP's are left to its tokenizer, which in these folders tells cases apart.
    plain = load_model(f"hf:{folders['clip']}", "").text_side
    assert len(plain.tokens(same).unique(dim=0)) > 1


def test_siglip2_sees_the_patches_of_its_own_processor(folders):
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    loaded, model = (
        load_model(f"hf:{folders['siglip2']}", ""),
        theirs(folders["siglip2"], "Siglip2Model"),
    )
    levels = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), np.uint8)
    own = Siglip2ImageProcessorPil.from_pretrained(folders["siglip2"])
    given = own(list(levels), return_tensors="pt")
    recipe = preprocessing_of("openclip", loaded.preprocess_config, 1)
    pixels = preprocess(torch.from_numpy(levels), recipe, 1)[0]
    with torch.inference_mode():
        close(loaded.image_tower(pixels), model.get_image_features(**given).pooler_output)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_pixels_are_those_of_transformers(folders, name):
    """On frames that are no squares: cut, or squashed."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    own = {"clip": CLIPImageProcessorPil, "siglip": SiglipImageProcessorPil}[name]
    levels = np.random.default_rng(0).integers(0, 256, (2, 60, 90, 3), np.uint8)
    expected = own.from_pretrained(folders[name])(list(levels), return_tensors="pt").pixel_values
    tower = load_model(f"hf:{folders[name]}", "").preprocess_config
    found = preprocess(torch.from_numpy(levels), preprocessing_of("openclip", tower, 1), 1)[0]
    close(found, expected)


def test_pe_video_gives_what_its_forward_gives(folders):
    loaded, model = (
        load_model(f"hf:{folders['pe_video']}", ""),
        theirs(folders["pe_video"], "PeVideoModel"),
    )
    pixels = torch.rand(2, 5, 3, *loaded.image_size)
    tokens = transformers.AutoTokenizer.from_pretrained(folders["pe_video"])
    given = tokens(TEXTS, padding=True, return_tensors="pt")
    given = {key: given[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        found = model(pixel_values_videos=pixels, **given)
        close(loaded.image_tower(pixels), found.video_embeds)
    close(loaded.text_side.encode(TEXTS), found.text_video_embeds)
    assert (loaded.logit_scale, loaded.logit_bias) == (12.0, -3.0)
    logits = found.video_embeds @ found.text_video_embeds.T * loaded.logit_scale
    close(logits + loaded.logit_bias, found.logits_video_text)


def test_what_an_encoder_says_of_itself(folders):
    found = {name: load_model(f"hf:{folder}", "") for name, folder in folders.items()}
    assert {name: (m.kind, m.num_frames) for name, m in found.items()} == {
        **dict.fromkeys(("clip", "siglip", "siglip2"), ("frame", 0)),
        "videoprism": ("clip", 4),
        "pe_video": ("clip", 0),
    }
    assert {name for name, m in found.items() if m.logit_bias is not None} == {
        "siglip",
        "siglip2",
        "pe_video",
    }
    assert found["siglip"].logit_scale == pytest.approx(np.exp(2.5))
    record = found["videoprism"].record()
    assert record["config"]["package"] == "transformers"
    assert record["config"]["version"] == transformers.__version__
    json.dumps(record)
    for loaded in found.values():
        again = load_model(loaded.model, loaded.record()["weights_path"])
        assert again.digest == loaded.digest


def test_a_digest_is_that_of_its_half(folders, tmp_path):
    first = load_model(f"hf:{folders['siglip']}", "")
    other = load_model(f"hf:{write_folder(tmp_path / 'other', 'siglip', seed=1)}", "")
    assert (first.image_digest, first.text_digest) != (other.image_digest, other.text_digest)
    moved = shutil.copytree(folders["siglip"], tmp_path / "moved")
    config = json.loads((moved / "config.json").read_text())
    config |= {"transformers_version": "5.99", "_name_or_path": "elsewhere"}
    config["text_config"] |= {"dtype": "float32", "_name_or_path": "elsewhere"}
    (moved / "config.json").write_text(json.dumps(config))
    assert load_model(f"hf:{moved}", "").digest == first.digest
    config["text_config"]["layer_norm_eps"] = 0.1
    (moved / "config.json").write_text(json.dumps(config))
    changed = load_model(f"hf:{moved}", "")
    assert changed.image_digest == first.image_digest
    assert changed.text_digest != first.text_digest


def test_other_tokens_make_other_texts(folders, tmp_path):
    folder = shutil.copytree(folders["clip"], tmp_path / "other")
    tokens = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = tokens["model"]["vocab"]
    vocabulary["red"], vocabulary["blue"] = vocabulary["blue"], vocabulary["red"]
    (folder / "tokenizer.json").write_text(json.dumps(tokens))
    first, other = (load_model(f"hf:{one}", "") for one in (folders["clip"], folder))
    texts = ["the red square"]
    assert not np.array_equal(first.text_side.encode(texts), other.text_side.encode(texts))
    assert first.text_digest != other.text_digest
    assert first.image_digest == other.image_digest


def test_a_text_does_not_depend_on_the_others(folders):
    side = load_model(f"hf:{folders['siglip']}", "").text_side
    alone = [side.encode([text])[0] for text in TEXTS]
    np.testing.assert_array_equal(side.encode(TEXTS * 4)[: len(TEXTS)], alone)


def test_texts_that_are_cut_are_told_and_may_become_equal(folders, said):
    side = load_model(f"hf:{folders['clip']}", "").text_side
    long = "the red " * CONTEXT
    side.encode([long, "run"])
    assert f"1 of 2 texts are cut to the {CONTEXT} tokens" in said.text
    with pytest.raises(UsageError, match="texts become equal when cut"):
        side.encode([long + "run", long + "jump"])


def test_random_weights_are_the_same_every_time_and_are_told(folders, said):
    first, again = (load_model(f"hf:{folders['clip']}", "none") for _ in range(2))
    assert first.digest == again.digest != load_model(f"hf:{folders['clip']}", "").digest
    assert (first.name, first.weights_path) == ("random", "none")
    assert "gets RANDOM weights" in said.text


def config(**changes):
    def change(folder):
        found = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(found | changes))

    return change


def pixels(**changes):
    def change(folder):
        found = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "preprocessor_config.json").write_text(json.dumps(found | changes))

    return change


def vision(**changes):
    def change(folder):
        found = json.loads((folder / "config.json").read_text())
        found["vision_config"] |= changes
        (folder / "config.json").write_text(json.dumps(found))

    return change


def pickled(folder):
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def index(folder):
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../b"}}')


def without_a_weight(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    del state["vision_model.post_layernorm.bias"]
    # As many numbers as before, so that it is no question of size.
    state["more"] = torch.zeros(32)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def not_finite(folder):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state["vision_model.post_layernorm.bias"] *= torch.nan
    save_file(state, folder / "model.safetensors", {"format": "pt"})


REFUSED = {
    "type": (config(model_type="blip"), UnknownNameError, "blip"),
    "no type": (config(model_type=None), ModelError, "has no model_type"),
    "types": (config(model_type=["clip"]), UnknownNameError, "architecture"),
    "many layers": (
        vision(num_hidden_layers=10**9),
        ModelError,
        "says num_hidden_layers: 1000",
    ),
    "wide": (vision(intermediate_size=10**7), ModelError, "numbers, and the SiglipModel"),
    "torn config": (lambda f: (f / "config.json").write_text("{"), ModelError, "cannot be read"),
    "pickle": (pickled, UsageError, "has its weights as pickles"),
    "outside": (index, ModelError, "names no files"),
    "missing": (without_a_weight, ModelError, "missing keys: vision_model.post_layernorm.bias"),
    "not finite": (not_finite, ModelError, "holds numbers that are not finite"),
    "no pixels": (
        lambda f: (f / "preprocessor_config.json").unlink(),
        ModelError,
        "has no preprocessor_config.json",
    ),
    "filter": (pixels(resample=1), ModelError, "resample is 1, not bilinear or bicubic"),
    "levels": (pixels(do_rescale=False), ModelError, "not brought to 0 to 1"),
    "size": (
        pixels(size={"height": 64, "width": 64}),
        ModelError,
        "makes squares of 64, ",
    ),
    "oblong": (pixels(size={"height": 64, "width": 32}), ModelError, "makes no square"),
    "std": (pixels(image_std=[0, 0, 0]), ModelError, "not above 0"),
    "weights": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), ModelError, "readable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(folders, tmp_path, name):
    change, error, told = REFUSED[name]
    folder = shutil.copytree(folders["siglip"], tmp_path / "m")
    change(folder)
    with pytest.raises(error, match=told) as caught:
        load_model(f"hf:{folder}", "")
    assert len(str(caught.value)) <= 400
    assert "\n" not in str(caught.value)


def test_an_unknown_architecture_is_told_those_that_are_known(folders, tmp_path):
    folder = shutil.copytree(folders["siglip"], tmp_path / "m")
    config(model_type="vjepa2")(folder)
    with pytest.raises(UnknownNameError, match="clip, pe_video, siglip, siglip2, videoprism"):
        load_model(f"hf:{folder}", "")


def test_a_crop_that_recipes_do_not_know_is_told(folders, tmp_path, said):
    folder = shutil.copytree(folders["clip"], tmp_path / "m")
    pixels(size={"shortest_edge": 40})(folder)
    found = load_model(f"hf:{folder}", "")
    assert "it makes the shorter side 40 pixels and crops 32; here that side is 32" in said.text
    assert found.identity.assumed == ("preprocessing",)
    assert found.identity.preprocessing["resize_mode"] == "shortest"


def test_a_folder_without_a_tokenizer_still_encodes_pictures(folders, tmp_path):
    folder = shutil.copytree(folders["clip"], tmp_path / "m")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    found = load_model(f"hf:{folder}", "")
    assert found.image_tower(torch.rand(1, 3, 32, 32)).shape == (1, 24)
    with pytest.raises(TextTowerError, match="need its tokenizer") as caught:
        encode_classes(found, ["a"], ["{}"])
    assert len(str(caught.value)) <= 400


def test_a_tokenizer_of_another_model_is_refused(folders, tmp_path):
    folder = shutil.copytree(folders["clip"], tmp_path / "m")
    found = json.loads((folder / "tokenizer.json").read_text())
    found["model"]["vocab"]["run"] = 4000
    (folder / "tokenizer.json").write_text(json.dumps(found))
    with pytest.raises(TextTowerError, match="gives token 4000 of 64"):
        encode_classes(load_model(f"hf:{folder}", ""), ["run"], ["{}"])


def test_settings_of_files_are_refused(folders):
    with pytest.raises(UsageError, match="leave them out"):
        load_model(f"hf:{folders['clip']}", "", weights=WeightsSettings(image_size=48))
    with pytest.raises(UsageError, match="hf: names no model"):
        load_model("hf:", "")
    with pytest.raises(UsageError, match="leave out --pretrained openai"):
        load_model(f"hf:{folders['clip']}", "openai")
    with pytest.raises(ModelError, match="there is no folder"):
        load_model("hf:./nowhere", "")


def test_a_hub_that_is_away_is_told_at_once(monkeypatch, tmp_path):
    monkeypatch.setattr("vifistore.models.hub._reachable", lambda url: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="give the folder: --model hf:FOLDER") as caught:
        load_model("hf:vifistore/none", "")
    assert len(str(caught.value)) <= 400
