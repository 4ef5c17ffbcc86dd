"""One small file per format; each turns a reports.table_model.Table into text."""
