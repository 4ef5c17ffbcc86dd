"""ActionCLIP (sallymmx/ActionCLIP): its heads behind an image tower, its texts and files."""
