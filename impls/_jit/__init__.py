"""The kernels of ``numba_jit``: mathematics, BLAS, blocks of samples, single samples."""
