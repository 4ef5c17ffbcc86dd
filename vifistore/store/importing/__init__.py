"""Feature sets from files of other tools and of `vifi export`: a small file per format.

Each `open_...` looks at sizes, dtypes and ids and returns an `ImportSource`; `import_source` checks
the values and writes them. Nothing is written before all of that has passed.
"""
