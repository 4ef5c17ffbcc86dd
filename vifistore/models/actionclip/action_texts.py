"""ActionCLIP's texts of a class, and the scale of its scores. Imports no torch."""

# What multiplies every cosine in its test.py; in training it is CLIP's own, which is learned.
ACTIONCLIP_SCALE = 100.0

# The prompts of ActionCLIP's utils/Text_Prompt.py.
ACTIONCLIP_TEMPLATES = (
    "a photo of action {}",
    "a picture of action {}",
    "Human action of {}",
    "{}, an action",
    "{} this is an action",
    "{}, a video of action",
    "Playing action of {}",
    "{}",
    "Playing a kind of action, {}",
    "Doing a kind of action, {}",
    "Look, the human is {}",
    "Can you recognize the action of {}?",
    "Video classification of {}",
    "A video of {}",
    "The man is {}",
    "The woman is {}",
)
