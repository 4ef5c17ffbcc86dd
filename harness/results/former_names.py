"""What was called otherwise when rows were written and studies were begun."""

FORMER_LEVERS = {"dual-softmax": "mutual-softmax"}
"""Levers by the names that they had."""
