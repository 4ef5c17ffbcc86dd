"""From a query's embedding to videos: FAISS indexes, search, moments, and retrieval metrics."""
