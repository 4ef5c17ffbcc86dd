"""Measurements -> tables: the paper's nine, and one per protocol for any data set."""
