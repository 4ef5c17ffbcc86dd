"""The paper's own numbers, one CSV per table."""
