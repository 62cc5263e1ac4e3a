"""The typed study file: its sections, what they mean together, and how it is read."""
