"""Models of transformers as encoders, called `hf:ORG/NAME` or `hf:/path/to/folder`.

transformers is imported where a model is loaded, and nowhere before: it takes seconds.
"""
