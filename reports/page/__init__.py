"""The page of a results folder: one HTML file, its script and the plotting library beside it."""
