"""Which law extrapolates best: a tournament over the extrapolations a study allows."""
