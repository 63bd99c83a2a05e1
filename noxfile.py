"""``make matrix``: the tests on every supported Python that is installed, with the oldest and newest dependencies."""

from itertools import chain
from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
OPTIONAL = ("report", "test")
"""The extras that the tests need."""


def lower_bounds() -> list[str]:
    """Return the lowest version of each dependency that the project declares, as constraints of pip."""
    extras = [PROJECT["project"]["optional-dependencies"][extra] for extra in OPTIONAL]
    bounds = []
    for requirement in map(Requirement, chain(PROJECT["project"]["dependencies"], *extras)):
        lowest = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
        bounds += [f"{requirement.name}=={version}" for version in lowest]
    return bounds


def run_tests(session: nox.Session, *options: str) -> None:
    """Run pytest on two processes, with the options and with the arguments after ``--``."""
    session.run("python", "-m", "pytest", "--numprocesses", "2", "--dist", "worksteal", *options, *session.posargs)


@nox.session(python=PYTHONS[0])
def oldest(session: nox.Session) -> None:
    """Test with the lower bound of every dependency, on the oldest Python."""
    # Not in ``create_tmp``, which makes its folder the tests' TMPDIR: some tests need one outside of a checkout.
    constraints = Path(session.virtualenv.location, "constraints.txt")
    constraints.write_text("\n".join(lower_bounds()))
    session.install("--constraint", str(constraints), "--editable", ".[test]")
    run_tests(session, "-W", "default")  # old releases use what newer releases of their own dependencies deprecate


@nox.session(python=PYTHONS)
def newest(session: nox.Session) -> None:
    """Test with the newest version of every dependency."""
    session.install("--upgrade", "--editable", ".[test]")
    run_tests(session)
