"""What may go from a store, and how it goes."""
