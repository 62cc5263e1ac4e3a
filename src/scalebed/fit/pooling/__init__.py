"""One fit over several data sets, with parameters shared or drawn together."""
