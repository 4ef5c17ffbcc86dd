"""How the numbers of the paper are computed, one protocol a file."""
