"""From a results folder to tables, figures and an HTML page. Imports no torch."""
