"""The median of a window that moves over a series, in three versions: ``loops``, ``vectorized`` and ``compiled``.

Each module has a function ``moving_median``. This file imports none of them, so that a program which uses one version
does not wait for the libraries of the others.
"""
