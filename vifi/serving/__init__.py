"""The local page of `vifi serve`: search, watch, more like this, and a map to walk."""
