"""What runs on the workers, and the messages by which the driver asks for it."""
