"""The data sets of the tutorials, from scikit-learn."""

from __future__ import annotations

import warnings
from functools import cache
from typing import NamedTuple

import numpy as np

from impls import Array


class DatasetError(ValueError):
    """A data set cannot be loaded; the text gives the reason in one line."""


class Split(NamedTuple):
    """Training samples X with one-hot targets Y; test samples X_test with their original images and classes."""

    X: Array
    Y: Array
    X_test: Array
    images_test: Array
    classes_test: Array


@cache
def load_digits_data() -> tuple[Array, Array]:
    """Return the images (1797, 64), with values from 0 to 16, and their classes (1797,)."""
    from sklearn.datasets import load_digits

    images, classes = load_digits(return_X_y=True)
    return locked(images), locked(classes)


@cache
def standardized_digits() -> Array:
    """Return the images (1797, 64), each pixel with mean 0 and variance 1 over all images."""
    from sklearn.preprocessing import StandardScaler

    return locked(StandardScaler().fit_transform(load_digits_data()[0]))


@cache
def split_digits(seed: int) -> Split:
    """Split the standardized digits at random: 60 % for training, 40 % for testing."""
    from sklearn.model_selection import train_test_split

    X, X_test, _, images_test, classes, classes_test = train_test_split(
        standardized_digits(), *load_digits_data(), test_size=0.4, random_state=seed
    )
    return Split(*map(locked, (X, one_hot(classes), X_test, images_test, classes_test)))


def locked(array: Array) -> Array:
    """Make an array read-only, so that no backend can change the data for the others, and return it."""
    array.flags.writeable = False
    return array


def one_hot(classes: Array) -> Array:
    """Return the one-hot targets (n, 10) of classes (n,)."""
    return np.eye(10)[classes]


@cache
def circles() -> tuple[Array, Array]:
    """Return the points (1000, 2) of two noisy circles, and for each point 0 or 1 for its circle, (1000, 1)."""
    from sklearn.datasets import make_circles

    X, y = make_circles(n_samples=1000, factor=0.5, noise=0.1, random_state=0)
    return locked(X), locked(y.reshape(-1, 1).astype(float))


@cache
def diabetes() -> tuple[Array, Array]:
    """Return the features (442, 10) of patients and the progression of their disease (442, 1), both standardized."""
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    return _standardized(X), _standardized(y.reshape(-1, 1))


@cache
def boston() -> tuple[Array, Array]:
    """Fetch the Boston house prices: standardized features (506, 13) and prices (506, 1).

    Raises DatasetError if openml.org cannot be reached.
    """
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fetch_openml warns at each failed attempt
            X, y = fetch_openml("boston", version=1, return_X_y=True, as_frame=False)
    except Exception as error:  # a network connection can fail in any way
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise DatasetError(
            f"the Boston data set cannot be fetched from openml.org ({text}); leave out --boston to use load_diabetes"
        ) from error
    return _standardized(X.astype(float)), locked(y.astype(float).reshape(-1, 1))


def _standardized(array: Array) -> Array:
    return locked((array - array.mean(axis=0)) / array.std(axis=0))
