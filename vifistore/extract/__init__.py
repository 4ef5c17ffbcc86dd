"""The one pipeline from videos to the store, and text embeddings."""
