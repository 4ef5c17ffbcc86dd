"""One file a verb: it parses its arguments, calls, and prints."""
