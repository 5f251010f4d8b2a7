"""Everything that happened in a search, as events, and the tables that people look at."""
