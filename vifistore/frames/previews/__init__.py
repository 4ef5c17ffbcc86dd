"""Small pictures of moments, for pages."""
