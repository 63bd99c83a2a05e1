"""Worker process of the gate for functions: ``python -m pairbench.project_worker SOURCES``, SOURCES being JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pairbench import own_tree, worker_connection
from pairbench.function_watch import FunctionWatch
from pairbench.gate_protocol import Failure
from pairbench.gate_worker import serve

OWN = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class ImportPlan:
    """From where a worker imports a project.

    ``folders``: those of the worktree with packages and modules. ``places``: the folder of each package that must come
    from the worktree. ``is_built``: whether the project is installed in the worker's environment, which then comes
    before the folders. ``removed``: folders that are taken off the import path, those of the user's checkout.
    """

    folders: Sequence[str]
    places: Mapping[str, str]
    is_built: bool
    removed: Sequence[str]

    def to_json(self) -> str:
        """The plan as an argument of the worker."""
        return json.dumps(asdict(self))

    def carry_out(self) -> None:
        """Set up the import path and the finder of this process. Raises ForeignModule."""
        removed = {Path(folder).resolve() for folder in self.removed}
        kept = [entry for entry in sys.path if Path(entry).resolve() not in removed | {OWN}]
        # The packages beside pairbench are the last choice: they may be installed ones, which the project needs.
        sys.path[:] = [*kept, *self.folders, str(OWN)] if self.is_built else [*self.folders, *kept, str(OWN)]
        trees = {} if self.is_built else {name: Path(folder) for name, folder in self.places.items()}
        if not self.is_built:
            for name, folder in self._found():
                trees.setdefault(name, folder)
        own_tree.guard_names({**trees, "pairbench": OWN})

    def _found(self) -> Iterator[tuple[str, Path]]:
        """The other packages and modules in the folders; those that are imported already are libraries."""
        for folder in map(Path, self.folders):
            names = [file.parent.name for file in folder.glob("*/__init__.py")]
            names += [file.stem for file in folder.glob("*.py")]
            yield from (
                (name, folder) for name in names if name not in sys.modules and name not in sys.stdlib_module_names
            )


def main() -> None:
    """Answer the gate's requests until standard input ends."""
    send = worker_connection.connect_to_parent()
    functions = FunctionWatch("pairbench")  # before the project, whose import may replace some
    functions.add_audit_hook()
    refusal = None
    try:
        ImportPlan(**json.loads(sys.argv[1])).carry_out()
    except own_tree.ForeignModule as error:
        refusal = Failure(str(error))
    serve(send, functions, refusal)


if __name__ == "__main__":
    main()
