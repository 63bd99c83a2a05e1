"""The kernels of ``numba_simd``: mathematics, BLAS, blocks of samples, single samples."""
