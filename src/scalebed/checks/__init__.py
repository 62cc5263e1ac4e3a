"""How far laws and intervals can be trusted, measured on the study itself: one folder a check."""
