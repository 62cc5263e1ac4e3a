"""Which runs to add: candidates, laws that are counted, the greedy choice, and the page."""
