"""The image: what goes in, and whether it works."""
