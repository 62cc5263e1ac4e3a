"""From the draws of a law to a decision: what a run gives, which run to train, which to add."""
