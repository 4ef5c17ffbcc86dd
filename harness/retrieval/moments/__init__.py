"""When in a video: moments, queries of them and their metrics."""
