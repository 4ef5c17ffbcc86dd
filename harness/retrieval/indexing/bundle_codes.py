"""Means of bundles in a quarter of a byte a dimension, and the scan of all of them for a query.

Product quantisation (Jegou et al., 2011) of two dimensions at a time with 4 bits, which FAISS scans
from registers (André et al., 2017). What all means share is taken off first: it adds the same to
every cosine with a query, and would waste the code.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.retrieval.indexing.index_files import load_faiss

_BITS = 4
_LEAST_TRAINING = 1024
_TABLE_BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """How means become codes."""

    centre: np.ndarray
    """float32 [dim]: what is taken off."""
    centroids: np.ndarray
    """float32 [part 16 dim of a part]"""

    @property
    def code_bytes(self) -> int:
        """Of a bundle."""
        return -(-len(self.centroids) * _BITS // 8)

    def encode(self, means: np.ndarray) -> np.ndarray:
        """Codes uint8 [bundle byte] of means float32 [bundle dim]."""
        return self._quantizer().compute_codes(np.ascontiguousarray(means - self.centre))

    def _quantizer(self) -> Any:
        faiss = load_faiss()
        num_parts, _, part_dim = self.centroids.shape
        quantizer = faiss.ProductQuantizer(num_parts * part_dim, num_parts, _BITS)
        faiss.copy_array_to_vector(self.centroids.reshape(-1), quantizer.centroids)
        return quantizer

    def scanner(self, codes: np.ndarray) -> Any:
        """A `faiss.Index` that scans codes uint8 [bundle byte] by inner product."""
        faiss = load_faiss()
        num_parts, _, part_dim = self.centroids.shape
        dim, metric = num_parts * part_dim, faiss.METRIC_INNER_PRODUCT
        plain = faiss.IndexPQ(dim, num_parts, _BITS, metric)
        faiss.copy_array_to_vector(self.centroids.reshape(-1), plain.pq.centroids)
        faiss.copy_array_to_vector(codes.reshape(-1), plain.codes)
        plain.ntotal, plain.is_trained = len(codes), True
        return faiss.IndexPQFastScan(plain, _TABLE_BLOCK)


def train_codebook(means: np.ndarray) -> Codebook:
    """A codebook for means like these, float32 [bundle dim]."""
    faiss = load_faiss()
    dim = means.shape[1]
    centre = means.mean(axis=0)
    # k-means wants as many vectors as there are centroids, and far more; few are repeated.
    repeats = -(-_LEAST_TRAINING // len(means))
    quantizer = faiss.ProductQuantizer(dim, dim // 2 if dim % 2 == 0 else dim, _BITS)
    # Hundreds of small k-means: threads would wait for each other more than they work.
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    quantizer.train(np.ascontiguousarray(np.tile(means - centre, (repeats, 1))))
    faiss.omp_set_num_threads(threads)
    shape = quantizer.M, 1 << _BITS, quantizer.dsub
    return Codebook(
        centre=centre, centroids=faiss.vector_to_array(quantizer.centroids).reshape(shape)
    )
