"""`vifi convert FILE OUT`: rewrite a checkpoint file for OpenCLIP."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vifi.command_line.console import parse, print_json, say
from vifi.command_line.shared_arguments import PrintArguments
from vifistore.errors import ModelError, UsageError, short
from vifistore.extract.extract_settings import PixelSettings
from vifistore.models.load_settings import WeightsSettings

if TYPE_CHECKING:
    from vifistore.models.openclip_model import OpenClipModel


@dataclass(frozen=True, kw_only=True)
class ConvertArguments(PrintArguments):
    """Rewrite a checkpoint of vifi, OpenCLIP, OpenAI, transformers, ViFi-CLIP, X-CLIP or ActionCLIP
    for OpenCLIP.

    OUT is loaded by open_clip.create_model(MODEL, pretrained="OUT") and by --pretrained OUT; with
    learned prompts or modules of a system, which OpenCLIP cannot use, by the latter alone. One of
    another --image-size needs force_image_size there.
    """

    file: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(metavar="CHECKPOINT")]]
    """The checkpoint; nothing in it is run."""
    out: tyro.conf.Positional[Path]
    """New file, .safetensors or .pt. The former also says what it is: name, step, settings."""
    model: str = ""
    """OpenCLIP model name, for a file that does not say it; vifi's own do."""
    token_embedding: str = "openai"
    """Tag or file of OpenAI's weights, whose token embedding files of ViFi-CLIP lack."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    activation: Literal["", "gelu", "quickgelu"] = ""
    """Activation that the weights were trained with, where you know what the file does not say;
    else OUT says that it is assumed."""
    pixels: PixelSettings


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code.

    Raises UsageError for an OUT that exists or has another suffix, ModelError for a file that is no
    checkpoint of the model.
    """
    wanted = parse("convert", ConvertArguments, arguments)
    if wanted.out.suffix not in (".safetensors", ".pt"):
        raise UsageError(f"{wanted.out} must end in .safetensors or .pt; name it so")
    if wanted.out.exists():
        raise UsageError(f"{wanted.out} exists; remove it, or give another OUT")

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.models.checkpoint_files import read_header
    from vifistore.models.openclip_files import write_openclip
    from vifistore.models.openclip_model import require_tunable
    from vifistore.models.plugins.plugin_names import require_allowed
    from vifistore.models.towers import load_model

    if not wanted.file.is_file():
        raise ModelError(f"there is no file {short(wanted.file, 120)}; give an existing checkpoint")
    header = read_header(wanted.file)
    model = header.model if header and not wanted.model else wanted.model
    if not model:
        raise UsageError(
            f"{short(wanted.file.name)} does not say which model it is; name it with --model"
        )
    require_allowed(model)
    options = {"token_embedding": wanted.token_embedding, "weights": wanted.weights}
    made = load_model(model, str(wanted.file), **options)
    loaded = require_tunable(made, "vifi convert writes")
    _state(wanted, loaded)
    write_openclip(wanted.out, loaded)
    facts = {
        "file": str(wanted.out),
        "model": loaded.model,
        "name": loaded.name,
        "digest": loaded.digest,
        "image_digest": loaded.image_digest,
        "text_digest": loaded.text_digest,
        "preprocessing": loaded.identity.preprocessing,
        "assumed": list(loaded.identity.assumed),
    }
    if wanted.json:
        print_json(facts)
    else:
        say(f"{wanted.out}: {loaded.name} ({loaded.digest}), a {loaded.model}")
    return 0


def _state(wanted: ConvertArguments, loaded: "OpenClipModel") -> None:
    """Let the model say what the flags do; what neither they nor the file say stays assumed.

    Raises ModelError for an activation that is not the model's.
    """
    from vifistore.extract.origin import say_preprocessing
    from vifistore.extract.recipes import preprocessing_for
    from vifistore.models.header_checks import require_activation
    from vifistore.models.preprocessing import tower_config

    pixels = preprocessing_for(wanted.pixels, loaded, 1)
    say_preprocessing(wanted.pixels, pixels, loaded)
    said = set()
    if wanted.activation:
        is_quick = wanted.activation == "quickgelu"
        require_activation(loaded.model, loaded.config, is_quick, f"--activation: {wanted.file}")
        said.add("activation")
    identity = loaded.identity
    if wanted.pixels.preprocess or wanted.pixels.parts:
        stated = pixels.for_identity(tower_config(loaded.clip))
        identity = replace(identity, preprocessing=stated)
        said.add("preprocessing")
    assumed = tuple(name for name in identity.assumed if name not in said)
    loaded.identity = replace(identity, assumed=assumed)
