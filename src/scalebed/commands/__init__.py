"""One module per verb of the command line; each joins arguments to a stage and nothing else."""
