"""Encoders of other packages, named by `module:function` or by an entry point."""
