"""Text to training batches: read corpora, split, tokenise, order sequences."""
