"""From the store to numbers: protocols, fusion, metrics, statistics. Imports no torch."""
