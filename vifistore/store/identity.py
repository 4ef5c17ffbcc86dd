"""What a checkpoint was trained with, and on what: the defaults of every later step.

In the header of a checkpoint file and in the store's record the same fields, each absent where it
is not known:

    preprocessing   {"family": "openclip" or "paper", "size", "mean", "std", "interpolation",
                    "resize_mode"}; with "paper" also "own", what the tower's own would be
    templates       ["a photo of a {}."]
    cleaning        of class names: as-is, spaces or words
    sampling        {"rule": "segment-centre", "frames": 16}: how its videos are to be sampled
    tuned_on        [{"dataset", "split", "class_names", "videos"}, ...], the oldest first
    assumed         ["preprocessing", "activation"]: what nobody has said
"""

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from vifistore.cleaning import CLEANINGS

OPENCLIP, PAPER = "openclip", "paper"
FAMILIES = (OPENCLIP, PAPER)
# OpenCLIP's words; what cannot be done here is refused where it is asked for.
INTERPOLATIONS = ("bicubic", "bilinear", "random")
SHORTEST, SQUASH = "shortest", "squash"
RESIZE_MODES = (SHORTEST, SQUASH, "longest")
TOWER_KEYS = ("size", "mean", "std", "interpolation", "resize_mode")
ASSUMPTIONS = ("preprocessing", "activation")

# Of a content digest: the odds that two of a million videos agree in these are 1 in 37 million.
DIGEST_BYTES = 8
_DIGEST = np.dtype(f">u{DIGEST_BYTES}")
_LARGEST_SIZE = 2**14
_MOST_FRAMES = 2**20


@dataclass(frozen=True, kw_only=True)
class TunedOn:
    """Videos that a checkpoint was tuned on."""

    dataset: str
    split: str
    class_names: tuple[str, ...] = ()
    videos: bytes = b""
    """The first 8 bytes of each video's content digest, sorted, each once; empty if unknown."""

    @property
    def num_videos(self) -> int:
        """How many different videos are known."""
        return len(self.videos) // DIGEST_BYTES

    @property
    def name(self) -> str:
        """As rows name it: dataset/split."""
        return f"{self.dataset}/{self.split}"

    @property
    def summary(self) -> dict:
        """What a record says of it: dataset, split, num_videos, and a digest of the rest."""
        rest = "\n".join([*self.class_names, self.videos.hex()])
        digest = hashlib.sha256(rest.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        named = {"dataset": self.dataset, "split": self.split}
        return {**named, "num_videos": self.num_videos, "digest": digest}

    def holds(self, digests: Iterable[str]) -> np.ndarray:
        """Which of these content digests are among its videos, bool [video]."""
        found = np.array([short_digest(digest) for digest in digests], object)
        is_digest = np.array([len(each) == DIGEST_BYTES for each in found], bool)
        result = np.zeros(len(found), bool)
        wanted, known = _numbers(b"".join(found[is_digest])), _numbers(self.videos)
        if len(known):
            nearest = np.searchsorted(known, wanted).clip(max=len(known) - 1)
            result[is_digest] = known[nearest] == wanted
        return result


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a checkpoint was trained with, and on what; empty fields are not known."""

    preprocessing: dict = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    cleaning: str = ""
    sampling: dict = field(default_factory=dict)
    tuned_on: tuple[TunedOn, ...] = ()
    assumed: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames per clip; 0 if unknown."""
        return self.sampling.get("frames", 0)

    def as_json(self) -> dict:
        """The fields that are known, as plain JSON values."""
        known = {f.name: value for f in fields(self) if (value := getattr(self, f.name))}
        for name in ("templates", "assumed"):
            known |= {name: list(known[name])} if name in known else {}
        if self.tuned_on:
            known["tuned_on"] = [_tuned_on_json(entry) for entry in self.tuned_on]
        return known

    def _states(self, name: str) -> bool:
        """Whether it says a thing that might be assumed; one that knows nothing says nothing."""
        return bool(self.preprocessing) and name not in self.assumed

    def completed(self, other: "Identity") -> "Identity":
        """This one, with what `other` knows beyond it; what is said wins over what is assumed."""
        both = dict.fromkeys((*self.assumed, *other.assumed))
        assumed = tuple(n for n in both if not (self._states(n) or other._states(n)))
        is_said = other._states("preprocessing") and not self._states("preprocessing")
        known = replace(other if is_said else self, assumed=assumed)
        missing = {
            f.name: getattr(self if is_said else other, f.name)
            for f in fields(self)
            if f.name != "assumed" and not getattr(known, f.name)
        }
        return replace(known, **{**missing, "tuned_on": joined([*self.tuned_on, *other.tuned_on])})


def short_digest(digest: str) -> bytes:
    """The first 8 bytes of a content digest in hexadecimal; nothing of what is none."""
    try:
        return bytes.fromhex(digest[: 2 * DIGEST_BYTES])
    except ValueError:
        return b""


def packed(digests: Iterable[str]) -> bytes:
    """Content digests as `TunedOn.videos` keeps them."""
    known = {short for digest in digests if len(short := short_digest(digest)) == DIGEST_BYTES}
    return b"".join(sorted(known))


def joined(entries: Iterable[TunedOn]) -> tuple[TunedOn, ...]:
    """Entries in their order, those of one split and its classes as one."""
    found: dict[tuple, TunedOn] = {}
    for entry in entries:
        key = entry.dataset, entry.split, entry.class_names
        both = found[key].videos + entry.videos if key in found else entry.videos
        numbers = np.sort(_numbers(both))
        is_new = np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]
        found[key] = replace(entry, videos=numbers[is_new].astype(_DIGEST).tobytes())
    return tuple(found.values())


def _numbers(videos: bytes) -> np.ndarray:
    # In the byte order of the machine: sorting is many times as fast.
    return np.frombuffer(videos, _DIGEST).astype(np.uint64)


def parse_identity(values: Mapping) -> Identity:
    """Read the fields of `as_json` among others. Raises ValueError that says what is wrong."""
    found = {}
    for name, parse in _PARSERS.items():
        if name in values:
            try:
                found[name] = parse(values[name])
            except (ValueError, TypeError, LookupError, AttributeError) as error:
                raise ValueError(f"its {name} is not as it should be: {error}") from None
    return Identity(**found)


def of_settings(settings: Mapping) -> Identity:
    """What a checkpoint says that was written before there was an identity: the settings of its
    training, or of a head what it was trained on."""
    found: dict = {}
    trained_on = settings.get("trained_on")
    if isinstance(trained_on, dict) and isinstance(trained_on.get("dataset"), str):
        split = str(trained_on.get("split") or "all")
        found["tuned_on"] = [{"dataset": trained_on["dataset"], "split": split}]
    if {"trains", "template", "class_names", "num_frames", "preprocess"} <= settings.keys():
        found["templates"] = [settings["template"]]
        found["cleaning"] = settings["class_names"]
        found["sampling"] = {"rule": "segment-centre", "frames": settings["num_frames"]}
        found["preprocessing"] = {"family": settings["preprocess"]}
    try:
        return parse_identity(found)
    except ValueError:
        # They were never checked, and nothing depended on them.
        return Identity()


def _tuned_on_json(entry: TunedOn) -> dict:
    return {
        "dataset": entry.dataset,
        "split": entry.split,
        "class_names": list(entry.class_names),
        "videos": base64.b64encode(entry.videos).decode("ascii"),
    }


def _parse_preprocessing(found: object) -> dict:
    fields = _fields(found)
    if fields["family"] not in FAMILIES:
        raise ValueError(f"family is {fields['family']!r:.40}")
    known = {"family": fields["family"], **parse_tower(fields)}
    return {**known, "own": parse_tower(_fields(fields["own"]))} if "own" in fields else known


def parse_tower(found: Mapping) -> dict:
    """The TOWER_KEYS among others, checked; those that are absent stay so."""
    return {key: parse(found[key]) for key, parse in _TOWER_PARSERS.items() if key in found}


def _parse_colour(found: object) -> list[float]:
    numbers = [float(number) for number in _list_of(found, (int, float))]
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"a colour is {found!r:.60}, not three numbers")
    return numbers


def _parse_std(found: object) -> list[float]:
    if min(numbers := _parse_colour(found)) <= 0:
        raise ValueError(f"a deviation is {found!r:.60}, not above 0")
    return numbers


def _parse_templates(found: object) -> tuple[str, ...]:
    templates = tuple(_list_of(found, str))
    if bad := [template for template in templates if template.count("{}") != 1]:
        raise ValueError(f"{bad[0]!r:.60} does not hold one {{}}")
    return templates


def _parse_sampling(found: object) -> dict:
    fields = _fields(found)
    if not isinstance(fields["rule"], str):
        raise TypeError(f"rule is {fields['rule']!r:.40}")
    return {"rule": fields["rule"], "frames": _count(fields["frames"], _MOST_FRAMES)}


def _parse_tuned_on(found: object) -> tuple[TunedOn, ...]:
    return joined(_parse_entry(entry) for entry in _list_of(found, dict))


def _parse_entry(found: dict) -> TunedOn:
    dataset, split = _list_of([found["dataset"], found["split"]], str)
    names = tuple(_list_of(found.get("class_names", []), str))
    try:
        videos = base64.b64decode(found.get("videos", ""), validate=True)
    except binascii.Error as error:
        raise ValueError(f"videos of {dataset!r:.40} are not base64 ({error})") from None
    if len(videos) % DIGEST_BYTES:
        raise ValueError(f"videos of {dataset!r:.40} are {len(videos)} bytes, not 8 each")
    return TunedOn(dataset=dataset, split=split, class_names=names, videos=videos)


def _fields(found: object) -> Mapping:
    if not isinstance(found, Mapping):
        raise TypeError(f"{found!r:.60} has no fields")
    return found


def _list_of(found: object, kind: type | tuple[type, ...]) -> list:
    # To Python true and false are numbers.
    if not isinstance(found, list | tuple) or not all(
        isinstance(each, kind) and not isinstance(each, bool) for each in found
    ):
        raise TypeError(f"{found!r:.60} is no list of the right kind")
    return list(found)


def _count(found: object, largest: int) -> int:
    if type(found) is not int or not 1 <= found <= largest:
        raise ValueError(f"{found!r:.40} is no number from 1 to {largest}")
    return found


def _one_of(names: Collection[str]) -> Callable[[object], str]:
    def parse(found: object) -> str:
        if not isinstance(found, str) or found not in names:
            raise ValueError(f"{found!r:.40} is none of {', '.join(names)}")
        return found

    return parse


_TOWER_PARSERS: dict[str, Callable[[object], object]] = {
    "size": lambda found: _count(found, _LARGEST_SIZE),
    "mean": _parse_colour,
    "std": _parse_std,
    "interpolation": _one_of(INTERPOLATIONS),
    "resize_mode": _one_of(RESIZE_MODES),
}
_PARSERS: dict[str, Callable[[object], object]] = {
    "preprocessing": _parse_preprocessing,
    "templates": _parse_templates,
    "cleaning": _one_of(CLEANINGS),
    "sampling": _parse_sampling,
    "tuned_on": _parse_tuned_on,
    "assumed": lambda found: tuple(map(_one_of(ASSUMPTIONS), _list_of(found, str))),
}
