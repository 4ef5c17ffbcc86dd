"""Whether what a store says of itself is so."""
