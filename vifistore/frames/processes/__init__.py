"""The pool of processes that decode, and the memory that it shares with them."""
