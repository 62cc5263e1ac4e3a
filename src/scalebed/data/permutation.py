"""A shuffled order without a table: a keyed permutation of 0 … n-1.

A balanced Feistel network permutes the smallest range of 2^(2h) >= n numbers; values that fall
outside 0 … n-1 are sent through it again until they fall inside ("cycle walking", Black and
Rogaway 2002), which leaves a permutation of 0 … n-1. The place of any element is found in constant
time and memory, whatever n is.
"""

import numpy as np

# Four rounds make a strong pseudo-random permutation of a large domain (Luby and Rackoff 1988);
# small domains need more to look shuffled.
_ROUNDS = 8
_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Permutation:
    """The permutation of ``range(size)`` that belongs to a seed and an epoch.

    Parameters
    ----------
    size
        Number of elements, at least 1 and at most 2**62.
    seed, epoch
        Non-negative integers; another pair gives another permutation.
    """

    def __init__(self, size: int, seed: int, epoch: int = 0) -> None:
        if not 1 <= size <= 1 << 62:
            raise ValueError(f"size is {size}, expected 1 to 2**62")
        self.size = size
        self._half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self._mask = (np.uint64(1) << self._half) - np.uint64(1)
        sequence = np.random.SeedSequence([seed, epoch])
        self._keys = sequence.generate_state(_ROUNDS, np.uint64)

    def __call__(self, positions: np.ndarray) -> np.ndarray:
        """Return the elements at `positions` (any shape, values in [0, size)) as int64."""
        values = self._feistel(np.asarray(positions).astype(np.uint64))
        outside = values >= self.size
        while outside.any():
            values[outside] = self._feistel(values[outside])
            outside = values >= self.size
        return values.astype(np.int64)

    def _feistel(self, values: np.ndarray) -> np.ndarray:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right ^ key) & self._mask)
        return (left << self._half) | right


def _mix(values: np.ndarray) -> np.ndarray:
    """Return the finaliser of SplitMix64 (Steele, Lea and Flood 2014), modulo 2**64."""
    for shift, multiplier in zip((30, 27), _MULTIPLIERS, strict=True):
        values = (values ^ (values >> np.uint64(shift))) * multiplier
    return values ^ (values >> np.uint64(31))
