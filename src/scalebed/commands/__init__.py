"""The verbs of the command line: a file each for people, one table for the rules."""
