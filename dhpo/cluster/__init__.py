"""What the driver knows of its workers, and tasks that go on when workers die or fall silent."""
