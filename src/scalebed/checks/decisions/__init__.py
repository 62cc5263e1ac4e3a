"""What the laws of a study would have you train, at computes up to 1,000 times its largest run."""
