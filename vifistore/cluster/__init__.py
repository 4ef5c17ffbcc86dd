"""Extraction on the machines of a cluster, by an engine that starts processes and says which died.

Imports of the engine stay inside functions: it is an extra.
"""
