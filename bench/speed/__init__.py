"""How fast are ``numba_simd`` and ``numpy_vectorized``, beside the peers, beside C, and beside what is aimed at?"""
