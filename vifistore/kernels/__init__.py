"""Triton kernels and the plain PyTorch reference of each."""
