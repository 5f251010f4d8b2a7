"""What runs in the driver of a search over blocks: decides what is trained where, and takes the results in."""
