"""Integer codes of the activations and losses, for compiled code, which does not compare strings."""

SIGMOID, TANH, RELU, IDENTITY, SOFTMAX = range(5)
HALF_SQUARED_ERROR, MEAN_SQUARED_ERROR, BINARY_CROSS_ENTROPY, CATEGORICAL_CROSS_ENTROPY = range(4)

ACTIVATIONS = {"sigmoid": SIGMOID, "tanh": TANH, "relu": RELU, "identity": IDENTITY, "softmax": SOFTMAX}
LOSSES = {
    "half_squared_error": HALF_SQUARED_ERROR,
    "mean_squared_error": MEAN_SQUARED_ERROR,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "categorical_cross_entropy": CATEGORICAL_CROSS_ENTROPY,
}
