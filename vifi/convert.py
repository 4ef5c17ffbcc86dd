"""`vifi convert FILE OUT`: rewrite a checkpoint file for OpenCLIP."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from vifi.console import parse, print_json, say
from vifistore.errors import ModelError, UsageError, short
from vifistore.models.load_settings import WeightsSettings


@dataclass(frozen=True, kw_only=True)
class ConvertArguments:
    """Rewrite a checkpoint of vifi, OpenCLIP, OpenAI, transformers or ViFi-CLIP for OpenCLIP.

    OUT is loaded by open_clip.create_model(MODEL, pretrained="OUT") and by --pretrained OUT; with
    learned prompts, which OpenCLIP cannot use, by the latter alone. One of another --image-size
    needs force_image_size there.
    """

    file: tyro.conf.Positional[Path]
    """The checkpoint; nothing in it is run."""
    out: tyro.conf.Positional[Path]
    """New file, .safetensors or .pt. The former also says what it is: name, step, settings."""
    model: str = ""
    """OpenCLIP model name, for a file that does not say it; vifi's own do."""
    token_embedding: str = "openai"
    """Tag or file of OpenAI's weights, whose token embedding files of ViFi-CLIP lack."""
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    json: bool = False
    """Print one JSON document."""


def main(arguments: list[str]) -> int:
    """Run the verb and return its exit code."""
    wanted = parse("convert", ConvertArguments, arguments)
    if wanted.out.suffix not in (".safetensors", ".pt"):
        raise UsageError(f"{wanted.out} must end in .safetensors or .pt; name it so")
    if wanted.out.exists():
        raise UsageError(f"{wanted.out} exists; remove it, or give another OUT")

    # torch and OpenCLIP take seconds to import: only once the call is known to be right.
    from vifistore.models.checkpoints import read_header
    from vifistore.models.openclip_files import write_openclip
    from vifistore.models.towers import load_model

    if not wanted.file.is_file():
        raise ModelError(f"there is no file {short(wanted.file, 120)}; give an existing checkpoint")
    header = read_header(wanted.file)
    model = header.model if header and not wanted.model else wanted.model
    if not model:
        raise UsageError(
            f"{short(wanted.file.name)} does not say which model it is; name it with --model"
        )
    options = {"token_embedding": wanted.token_embedding, "weights": wanted.weights}
    loaded = load_model(model, str(wanted.file), **options)
    write_openclip(wanted.out, loaded)
    facts = {
        "file": str(wanted.out),
        "model": loaded.model,
        "name": loaded.name,
        "digest": loaded.digest,
        "image_digest": loaded.image_digest,
        "text_digest": loaded.text_digest,
    }
    if wanted.json:
        print_json(facts)
    else:
        say(f"{wanted.out}: {loaded.name} ({loaded.digest}), a {loaded.model}")
    return 0
