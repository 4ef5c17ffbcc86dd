"""Maps of video embeddings in two dimensions, and numbers for what the eye sees in them."""
