"""Approach 2, parabolas at budgets, beside approach 3, the law, with the bias of the former."""
