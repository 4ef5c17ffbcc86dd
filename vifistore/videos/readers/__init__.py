"""One small file per source format; each fills a Draft."""
