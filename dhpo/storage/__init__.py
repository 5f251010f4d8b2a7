"""The files of a search: its models, which of them are kept, and the folder that holds them."""
