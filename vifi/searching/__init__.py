"""From the words of a query to hits, and what shows them."""
