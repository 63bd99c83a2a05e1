"""PyTorch compiled ahead of time: the functions of ``torch_eager`` through torch.export and AOTInductor, to C++.

One sample of 3-3-1 and of 100-100-50-10, in float64 on one thread, by each form of compiling:

    torch.compile               28.6  35.9 µs   guards are checked in every call
    torch.jit.trace, frozen     11.0  16.5 µs   an interpreter of graphs
    torch._inductor.compile      9.2  12.9 µs   generated C++ called from generated Python
    AOTInductor                  3.8   6.7 µs   generated C++ alone; operator by operator it is 3.6 and 7.2 µs

Products with one sample are written as sums, which Inductor fuses with what follows; those of a batch go to MKL.
The parameters are arguments, so that one library serves every model of a network. The gradient of 64 samples of
3-3-1 takes 10 µs instead of 39. A step of training is a gradient and an addition to all the parameters.

A function takes 5 to 10 s to compile, nearly all of it spent by the C++ compiler on PyTorch's headers. The library
is kept in Inductor's cache folder (TORCHINDUCTOR_CACHE_DIR), under a digest of all that it depends on.
"""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._inductor.runtime.cache_dir_utils import cache_dir
from torch.export import Dim

from impls._backend import Array
from impls._network import Network
from impls.peers import torch_eager
from impls.peers.torch_eager import IN_PLACE, Tensors

Compiled = Callable[[list[Tensor]], list[Tensor]]


def sample(network: Network, weights: Tensors, biases: Tensors, x: Tensor) -> Tensor:
    """The outputs of one sample."""
    for W, b, activation in zip(weights, biases, network.activations, strict=True):
        x = IN_PLACE[activation]((x[:, None] * W).sum(0) + b)
    return x


def gradient(network: Network, weights: Tensors, biases: Tensors, X: Tensor, Y: Tensor) -> Tensors:
    """Summed loss of a batch, its slopes by the weights, and those by the biases."""
    loss, slopes, bias_slopes = torch_eager.gradient(network, weights, biases, X, Y)
    return [loss, *slopes, *bias_slopes]


FUNCTIONS: dict[str, Callable[..., Any]] = {"sample": sample, "forward": torch_eager.forward, "gradient": gradient}


class Flat(torch.nn.Module):
    """A function as a module, which is what is exported; it takes the weights, the biases, and the data."""

    def __init__(self, function: Callable[..., Any], network: Network):
        super().__init__()
        self.function, self.network = function, network

    def forward(self, *tensors: Tensor) -> Any:
        """The function of the tensors."""
        layers = len(self.network.shapes)
        return self.function(
            self.network, list(tensors[:layers]), list(tensors[layers : 2 * layers]), *tensors[2 * layers :]
        )


@cache
def compiled(name: str, network: Network, dtype: str) -> Compiled:
    """One of FUNCTIONS for a network, from the cache folder or compiled into it."""
    sources = [Path(file).read_bytes() for file in (__file__, torch_eager.__file__)]
    # A thread count and the instruction set are compiled in.
    built = torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    digest = hashlib.sha256(repr((name, network, dtype, built, sources)).encode()).hexdigest()
    path = Path(cache_dir()) / "mlpbench" / f"{digest[:32]}.pt2"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch's own parts, about each other
            package = os.path.join(folder, path.name)
            torch._inductor.aoti_compile_and_package(exported(name, network, dtype), package_path=package)
            os.replace(package, path)  # at once: two processes may compile the same
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run: Compiled = torch._inductor.aoti_load_package(str(path)).loader.boxed_run
    return run


def exported(name: str, network: Network, dtype: str) -> Any:
    """The graph of one of FUNCTIONS, for any number of samples."""
    make = partial(torch.ones, dtype=getattr(torch, dtype))
    parameters = [*(make(shape) for shape in network.shapes), *(make(shape[1]) for shape in network.shapes)]
    samples = 2
    data = {
        "sample": [make(network.n_in)],
        "forward": [make(samples, network.n_in)],
        "gradient": [make(samples, network.n_in), make(samples, network.n_out)],
    }[name]
    batch = {} if name == "sample" else {0: Dim("batch", min=1)}
    shapes = ((*({} for _ in parameters), *(batch for _ in data)),)
    return torch.export.export(Flat(FUNCTIONS[name], network), (*parameters, *data), dynamic_shapes=shapes)


class Model(torch_eager.Model):
    """PyTorch compiled ahead of time to C++."""

    compiles = True
    compiles_shapes = True

    def _sample_function(self) -> Callable[[Array, Array], object]:
        run = compiled("sample", self.network, self.dtype.name)
        x_tensor = torch.empty(self.network.n_in, dtype=self._weights[0].dtype)
        x_array = x_tensor.numpy()
        tensors = [*self._weights, *self._biases, x_tensor]

        def sample(x: Array, out: Array) -> None:
            x_array[:] = x
            out[:] = run(tensors.copy())[0].numpy()  # a copy of the list: it is emptied

        return sample

    @cached_property
    def _compiled_forward(self) -> Compiled:
        return compiled("forward", self.network, self.dtype.name)

    @cached_property
    def _compiled_gradient(self) -> Compiled:
        return compiled("gradient", self.network, self.dtype.name)

    def _outputs(self, X: Tensor) -> Tensor:
        return self._compiled_forward([*self._weights, *self._biases, X])[0]

    def _backpropagate(self, X: Tensor, Y: Tensor) -> tuple[Tensor, Tensors, Tensors]:
        layers = len(self._weights)
        loss, *slopes = self._compiled_gradient([*self._weights, *self._biases, X, Y])
        return loss, slopes[:layers], slopes[layers:]

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._backpropagate(torch_eager.tensor(X), torch_eager.tensor(Y))[0])
