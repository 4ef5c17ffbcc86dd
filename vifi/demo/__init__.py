"""A small generated world and the whole line of work run on it."""
