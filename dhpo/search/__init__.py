"""The classes that users see: searches, `Run`, and what `dhpo.load` makes of a journal."""
