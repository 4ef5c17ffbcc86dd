"""Takes the place of torchcodec for CUDA in tests: it decodes on the CPU, to other levels."""
