"""X-CLIP (Ni et al. 2022, "Expanding Language-Image Pretrained Models for General Video
Recognition"): what it adds to OpenCLIP's models, its files, and how its texts follow a video."""
