"""Feature sets as files of other tools: a small file per format."""
