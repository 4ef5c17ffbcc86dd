"""The frames of one video that a plan wants, by one decoder or another."""
