"""From the store to numbers: protocols, fusion, metrics, statistics. Imports no torch.

Scripts rely on the names that docs/API.md lists; all others may move.
"""
