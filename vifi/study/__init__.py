"""A whole study by one file: from videos to tables, stopped, resumed and extended at will."""
