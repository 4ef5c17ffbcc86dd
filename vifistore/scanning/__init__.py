"""From a source to the videos of a dataset: scanned, relocated, or imported."""
