"""The kernels of ``numba_simd``: on wide networks, and for several targets, right and without spilled sums."""

import os
from itertools import pairwise

import numpy as np
import pytest

import impls
from impls._simd import blocks
from impls._simd.target import VectorUnit, read_vector_unit
from impls._simd.tiles import tile_shape
from tests import assembly
from tests.helpers import python

UNITS = {
    "\tvfmadd213pd\t%zmm2, %zmm1, %zmm0\n": VectorUnit(64, 32, True),
    "\tvfmadd213pd\t%ymm4, %ymm2, %ymm0\n": VectorUnit(32, 16, True),
    "\tvmulpd\t%ymm4, %ymm2, %ymm0\n\tvaddpd\t%ymm1, %ymm0, %ymm0\n": VectorUnit(32, 16, False),
    "\tmulpd\t%xmm4, %xmm0\n\taddpd\t%xmm1, %xmm0\n": VectorUnit(16, 16, False),
    "\tfmla\tv4.2d, v1.2d, v0.2d\n": VectorUnit(16, 32, True),
}


@pytest.mark.parametrize("assembly", UNITS)
def test_the_vector_unit_is_read_from_the_code(assembly):
    assert read_vector_unit(assembly) == UNITS[assembly]


@pytest.mark.parametrize("unit", UNITS.values(), ids=str)
def test_the_sums_of_a_tile_fit_the_registers(unit):
    rows, columns = tile_shape(unit)
    weights, inputs, products = columns, 1, 0 if unit.fused else 1
    assert rows * columns + weights + inputs + products <= unit.registers
    assert rows * columns > unit.registers / 2


KERNELS = """
import numpy as np
from numba import njit, types
from impls._simd.affine import BYTES, affine_in_registers
from impls._simd.options import OPTIONS
from impls._simd.target import UNIT
from impls._simd.tiles import affine_in_tiles
from tests.assembly import aarch64, faults


def compiled_kernels(real):
    vector, matrix = types.Array(real, 1, "C"), types.Array(real, 2, "C")
    tiles = njit(types.none(vector, matrix, matrix, matrix), **OPTIONS)(lambda b, W, A, Z: affine_in_tiles(b, W, A, Z))
    one = njit(types.none(vector, types.intp, vector, vector, types.intp), **OPTIONS)(
        lambda P, p, a, z, width: affine_in_registers(P, p, a, z, width)
    )
    return tiles, one


"""
PROGRAM = """
random = np.random.default_rng(0)
for real, dtype in ((types.float64, "float64"), (types.float32, "float32")):
    tiles, one = compiled_kernels(real)
    for kernel in (tiles, one):
        (assembly,) = kernel.inspect_asm().values()
        assert faults(assembly) == [], faults(assembly)
    lanes = BYTES // np.dtype(dtype).itemsize
    shapes = [(1, 1, 1), (9, 5, 3), (64, 17, lanes), (7, 3, lanes + 1), (20, 40, 5 * lanes - 3), (4, 800, 30)]
    for samples, n, m in shapes:
        width = m if m < lanes else (-(-m // lanes) + 1) * lanes
        packed = random.normal(size=(n + 1) * width + lanes).astype(dtype)
        rows = packed[: (n + 1) * width].reshape(n + 1, width)
        A, Z = random.normal(size=(samples, n)).astype(dtype), np.full((samples, m), np.nan, dtype)
        expected = A.astype(float) @ rows[1:, :m] + rows[0, :m]
        allowed = 10 * n * np.finfo(dtype).eps * (np.abs(A).astype(float) @ np.abs(rows[1:, :m]) + np.abs(rows[0, :m]))
        tiles(rows[0, :m], rows[1:], A, Z)
        assert (np.abs(Z - expected) <= allowed).all()
        if m >= lanes:
            z = np.zeros(width, dtype)
            one(packed, 0, A[-1], z[:m], width)
            assert (np.abs(z[:m] - expected[-1]) <= allowed[-1]).all()
print(*UNIT)
"""
# The unit is set before the kernels read it. The code is not run: this machine need not be an AArch64.
FOR_AARCH64 = """
from impls._simd import target
from tests.assembly import aarch64
target.UNIT = target.read_vector_unit(aarch64(str(target.probe_module())))
assert target.UNIT == (16, 32, True), target.UNIT
"""
INSPECTION = """
for real in (types.float64, types.float32):
    for kernel in compiled_kernels(real):
        (code,) = kernel.inspect_llvm().values()
        print(faults(aarch64(code)))
"""
TARGETS = {
    "native": None,
    "haswell": VectorUnit(32, 16, True),
    "x86-64": VectorUnit(16, 16, False),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_kernels_are_right_and_keep_their_sums_in_registers(name):
    target = {} if name == "native" else {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ""}
    done = python("-W", "ignore", "-c", KERNELS + PROGRAM, env={**os.environ, **target})
    assert done.returncode == 0, done.stderr
    if TARGETS[name] is not None:
        assert done.stdout.split() == [str(value) for value in TARGETS[name]]


@pytest.mark.slow
def test_the_kernels_keep_their_sums_in_registers_on_aarch64():
    settings = {"NUMBA_OPT": "0", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = python("-W", "ignore", "-c", FOR_AARCH64 + KERNELS + INSPECTION, env={**os.environ, **settings})
    assert (done.returncode, done.stdout.split()) == (0, ["[]"] * 4), done.stderr


LOOPS = {
    "x86": """
.LBB0_1:
{}
\tvfmadd231pd\t(%rax), %ymm1, %ymm2
\tvfmadd231pd\t(%rbx), %ymm1, %ymm3
\tvfmadd231pd\t(%rcx), %ymm1, %ymm4
\tvfmadd231pd\t(%rdx), %ymm1, %ymm5
\tjne\t.LBB0_1
""",
    "aarch64": """
.LBB0_1:
{}
\tfmla\tv0.2d, v25.2d, v24.2d
\tfmla\tv1.2d, v25.2d, v24.2d
\tfmla\tv2.2d, v25.2d, v24.2d
\tfmla\tv3.2d, v25.2d, v24.2d
\tcbnz\tx8, .LBB0_1
""",
}
FAULTS = {
    "x86": ["vmovupd\t%ymm5, 32(%rsp)", "vaddpd\t32(%rsp), %ymm1, %ymm1", "callq\t*%rax"],
    "aarch64": ["str\tq7, [sp, #16]", "ldp\tq0, q1, [sp, #32]", "bl\tfma"],
}


@pytest.mark.parametrize(("machine", "line"), [(name, line) for name, lines in FAULTS.items() for line in lines])
def test_a_spilled_vector_and_a_call_in_a_loop_are_found(machine, line):
    assert assembly.faults(LOOPS[machine].format(f"\t{line}")) == [line]
    assert assembly.faults(LOOPS[machine].format("")) == []
    assert assembly.faults(f"\t{line}" + LOOPS[machine].format("")) == []


def test_code_without_a_loop_is_not_taken_for_code_without_spills():
    with pytest.raises(ValueError, match="no loop"):
        assembly.faults("\tvfmadd231pd\t(%rax), %ymm1, %ymm2\n" * 4)


WIDE_SIZES = {
    "two blocks": ((300, 500, 4), 400),
    "two samples": ((90, 110, 4), 2),
    "narrow output": ((400, 30), 100),
    "narrow input": ((3, 400, 40), 100),
    "one node": ((40, 30, 1, 300, 3), 51),
    "two nodes": ((300, 2, 150, 2), 102),
    "few weights": ((60, 2), 33),
}


@pytest.mark.parametrize("outputs", [("sigmoid", "mean_squared_error"), ("softmax", "categorical_cross_entropy")])
@pytest.mark.parametrize(("sizes", "batch"), WIDE_SIZES.values(), ids=WIDE_SIZES)
def test_numba_simd_agrees_with_numpy_on_wide_networks(sizes, batch, outputs):
    random = np.random.default_rng(0)
    parameters = [(random.normal(size=(n, m)) / n, random.normal(size=m)) for n, m in pairwise(sizes)]
    X, Y = random.normal(size=(batch, sizes[0])), random.dirichlet(np.ones(sizes[-1]), size=batch)
    network = impls.Network(sizes, "tanh", *outputs)
    assert not blocks.is_narrow(network)
    results = []
    for name in ("numba_simd", "numpy_plain"):
        model = impls.load(name).build(network, parameters)
        loss, gradient = model.gradient(X, Y)
        losses = model.train(X, Y, epochs=2, learning_rate=0.1)
        pairs = [*gradient, *model.parameters(), (model.forward(X), losses)]
        results.append([loss, model.loss(X, Y), *(array for pair in pairs for array in pair)])
    for computed, expected in zip(*results, strict=True):
        np.testing.assert_allclose(computed, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("outputs", [("sigmoid", "mean_squared_error"), ("softmax", "categorical_cross_entropy")])
def test_nan_and_extreme_logits_in_wide_networks(outputs):
    network = impls.Network((30, 40, 12), "relu", *outputs)
    X, Y = np.random.default_rng(0).normal(size=(9, 30)), np.eye(12)[np.arange(9)]
    X[2, 3], X[5] = np.nan, 1e4 * X[5]
    simd, numpy = (
        impls.load(name).build(network, network.random_parameters()) for name in ("numba_simd", "numpy_plain")
    )
    assert np.isnan(simd.forward(X)).any(axis=1).tolist() == [row == 2 for row in range(9)]
    kept = np.delete(np.arange(9), 2)
    np.testing.assert_allclose(simd.forward(X[kept]), numpy.forward(X[kept]), rtol=1e-9, atol=1e-300)
    for computed, expected in zip(simd.gradient(X[kept], Y[kept])[1], numpy.gradient(X[kept], Y[kept])[1], strict=True):
        np.testing.assert_allclose(computed[0], expected[0], rtol=1e-9, atol=1e-12)
    assert simd.loss(X[kept], Y[kept]) == pytest.approx(numpy.loss(X[kept], Y[kept]), rel=1e-10)
