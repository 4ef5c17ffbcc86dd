"""Figures as PNG, SVG and PDF, one small file a kind."""
