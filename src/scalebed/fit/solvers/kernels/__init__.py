"""Compiled kernels: the same mathematics as the NumPy code beside them, for many samples at once.

Numba is imported by the modules of this package and by nothing else, so import them where they are
used. Compiled code is cached on disk by Numba; the first call on a machine compiles.
"""
