"""The speed of ``numba_simd`` and ``numpy_vectorized``, compared with the peers, with C, and with goals."""
