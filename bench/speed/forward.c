/* The forward pass of one sample through 100-100-50-10 with sigmoids: the arithmetic of numba_simd in plain C.

   The sizes are constants, so the compiler can unroll the loops. It vectorizes exp with the vector functions of the
   C library. */

#include <math.h>

#define WIDEST 100

static inline __attribute__((always_inline)) const double *
layer(int n, int m, const double *restrict b, const double *restrict a, double *restrict out)
{
    const double *restrict W = b + m;
    double z[WIDEST];

    for (int j = 0; j < m; j++)
        z[j] = b[j];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            z[j] += a[i] * W[i * m + j];
    for (int j = 0; j < m; j++)
        out[j] = 1 / (1 + exp(-z[j]));
    return W + n * m;
}

static __attribute__((noinline)) void forward(const double *parameters, const double *x, double *out)
{
    double first[100], second[50];

    parameters = layer(100, 100, parameters, x, first);
    parameters = layer(100, 50, parameters, first, second);
    layer(50, 10, parameters, second, out);
}

/* Compute the forward pass of x `times` times. The parameters are, layer by layer, b and then W row by row. */
void repeat(const double *parameters, const double *x, double *out, long times)
{
    for (long t = 0; t < times; t++) {
        forward(parameters, x, out);
        __asm__ volatile("" ::: "memory"); /* keeps the compiler from removing calls */
    }
}
