"""Pictures that the page has sent: known by a name until others come, and never on the disk."""

import secrets
from collections import OrderedDict
from functools import lru_cache
from threading import Lock

import numpy as np

from vifi.searching.query_encoders import ImageEncoder, image_encoder
from vifi.searching.read_pictures import read_picture
from vifi.searching.video_files import NotThereError
from vifi.serving.library import Library, Scope

MOST_BYTES = 16 << 20
"""Of a picture's file."""
_KEPT = 8
_KEPT_VECTORS = 64


class SentPictures:
    """The pictures that were sent last."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._files: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()
        # A model takes memory: the one that was asked last stays.
        self._encoder = lru_cache(1)(self._new_encoder)
        self._vector = lru_cache(_KEPT_VECTORS)(self._encoded)
        self._encoding = Lock()

    def take(self, content: bytes) -> str:
        """Keep a picture and name it. Raises UsageError for what is none."""
        read_picture(content)
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._files[name] = content
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)
        return name

    def vector(self, scope: Scope, name: str) -> np.ndarray:
        """The embedding of a picture by the tower of what is searched, float32 [1 dim].

        Raises NotThereError for a name that is not known any more, and what `image_encoder` does.
        """
        with self._encoding:
            return self._vector(Scope(features=scope.features, dataset=scope.dataset), name)

    def _encoded(self, scope: Scope, name: str) -> np.ndarray:
        with self._lock:
            content = self._files.get(name)
        if content is None:
            raise NotThereError("the picture is not held any more; give it again")
        pixels = read_picture(content)[None]
        return self._encoder(scope)(pixels, np.zeros((1, 1), np.int64))[None]

    def _new_encoder(self, scope: Scope) -> ImageEncoder:
        searcher = self._library.searcher(scope)
        return image_encoder(searcher.sources[0], searcher.checkpoint)
