"""A search in the forms of other programs."""
