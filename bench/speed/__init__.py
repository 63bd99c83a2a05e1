"""How fast are ``numba_jit`` and ``numpy_vectorized``, beside the peers, beside C, and beside what is aimed at?"""
