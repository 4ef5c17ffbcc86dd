"""What the verbs that score share: result rows, comparisons, and the facts beside them."""
