"""From a results folder to tables, figures and an HTML page. Imports no torch.

Scripts rely on the names that docs/API.md lists; all others may move.
"""
