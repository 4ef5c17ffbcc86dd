"""Systems of training: what each adds to a CLIP, trains of it and minimises. A file each."""
