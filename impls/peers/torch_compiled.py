"""PyTorch compiled ahead of time to C++: the functions of ``torch_eager``, by torch.export and AOTInductor.

Times of one sample of 3-3-1 and of 100-100-50-10, in float64 on one thread, by compilation method:

    torch.compile               28.6  35.9 µs   checks guards in every call
    torch.jit.trace, frozen     11.0  16.5 µs   interprets a graph
    torch._inductor.compile      9.2  12.9 µs   calls generated C++ from generated Python
    AOTInductor                  3.8   6.7 µs   runs generated C++ only
    torch_eager                  3.6   7.2 µs   is not compiled

A product with one sample is written as a sum, which Inductor fuses with the operations that follow. MKL computes the
products with a batch. The parameters are arguments, so that one compiled library serves every model of a network. The
gradient of 64 samples of 3-3-1 takes 10 µs instead of 39. A training step computes a gradient and adds it, scaled, to
the parameters.

Compiling a function takes 5 to 10 s, nearly all of which the C++ compiler spends on PyTorch's headers. Inductor's cache
folder (TORCHINDUCTOR_CACHE_DIR) keeps the library under a digest of everything that the library depends on.
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
    """Return the outputs (n_out,) of one sample x (n_in,)."""
    for W, b, activation in zip(weights, biases, network.activations, strict=True):
        x = IN_PLACE[activation]((x[:, None] * W).sum(0) + b)
    return x


def gradient(network: Network, weights: Tensors, biases: Tensors, X: Tensor, Y: Tensor) -> Tensors:
    """Return the summed loss of a batch, then its gradients for the weights, then those for the biases, in one list."""
    loss, weight_gradients, bias_gradients = torch_eager.gradient(network, weights, biases, X, Y)
    return [loss, *weight_gradients, *bias_gradients]


FUNCTIONS: dict[str, Callable[..., Any]] = {"sample": sample, "forward": torch_eager.forward, "gradient": gradient}


class FlatArguments(torch.nn.Module):
    """A function wrapped in a module, because torch.export exports modules.

    The module takes all weights, then all biases, then the data, as separate arguments.
    """

    def __init__(self, function: Callable[..., Any], network: Network):
        super().__init__()
        self.function, self.network = function, network

    def forward(self, *tensors: Tensor) -> Any:
        """Call the function with the weights and the biases grouped into lists."""
        layers = len(self.network.shapes)
        return self.function(
            self.network, list(tensors[:layers]), list(tensors[layers : 2 * layers]), *tensors[2 * layers :]
        )


@cache
def compiled(name: str, network: Network, dtype: str) -> Compiled:
    """Load the compiled form of FUNCTIONS[name] for a network; compile it if the cache folder does not hold it."""
    sources = [Path(file).read_bytes() for file in (__file__, torch_eager.__file__)]
    # The generated code depends on the number of threads and on the instruction set.
    environment = torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    digest = hashlib.sha256(repr((name, network, dtype, environment, sources)).encode()).hexdigest()
    path = Path(cache_dir()) / "mlpbench" / f"{digest[:32]}.pt2"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch warns about its own internal calls
            package = os.path.join(folder, path.name)
            torch._inductor.aoti_compile_and_package(exported(name, network, dtype), package_path=package)
            os.replace(package, path)  # atomic, because two processes may compile the same function
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run: Compiled = torch._inductor.aoti_load_package(str(path)).loader.boxed_run
    return run


def exported(name: str, network: Network, dtype: str) -> Any:
    """Export FUNCTIONS[name] as a graph for any batch size."""
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
    return torch.export.export(FlatArguments(FUNCTIONS[name], network), (*parameters, *data), dynamic_shapes=shapes)


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
            out[:] = run(tensors.copy())[0].numpy()  # copied because ``run`` empties its list

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
        loss, *gradients = self._compiled_gradient([*self._weights, *self._biases, X, Y])
        return loss, gradients[:layers], gradients[layers:]

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._backpropagate(torch_eager.tensor(X), torch_eager.tensor(Y))[0])
