"""Edits of a package that change its text and not what it computes, like much of what pull requests change.

They may still change times, because code and objects get other places in memory.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace

from pairbench.worktrees import Revision


def _with_lines_before(text: str, lines: Callable[[ast.stmt], str]) -> str:
    """The module with the lines that ``lines`` gives for each of its top-level statements before that statement.

    The first statement, which may be the docstring, and imports from ``__future__`` get none.
    """
    parts = text.splitlines(keepends=True)
    for statement in reversed(ast.parse(text).body[1:]):
        if not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
            parts.insert(first - 1, lines(statement))
    return "".join(parts)


def _methods_reversed(text: str) -> str:
    """The module with the methods at the end of each top-level class in reverse order."""
    parts = text.splitlines(keepends=True)
    for statement in reversed(ast.parse(text).body):
        if isinstance(statement, ast.ClassDef):
            methods = statement.body
            while methods and not isinstance(methods[0], ast.FunctionDef):
                methods = methods[1:]
            plain = all(isinstance(method, ast.FunctionDef) and not method.decorator_list for method in methods)
            if plain and len(methods) > 1:
                pieces = [parts[method.lineno - 1 : method.end_lineno] for method in reversed(methods)]
                joined = [line for piece in pieces for line in (*piece, "\n")][:-1]
                parts[methods[0].lineno - 1 : methods[-1].end_lineno] = joined
    return "".join(parts)


def _before_functions(line: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        return _with_lines_before(text, lambda one: line if isinstance(one, ast.FunctionDef | ast.ClassDef) else "")

    return edit


EDITS: Mapping[str, Callable[[str], str]] = {
    "a comment at the top": lambda text: f"# A comment.\n{text}",
    "a page of comments at the top": lambda text: "# A comment that fills a line.\n" * 60 + text,
    "a comment at the end": lambda text: f"{text}\n# A comment.\n",
    "a blank line before each statement": lambda text: _with_lines_before(text, lambda _: "\n"),
    "a comment before each function": _before_functions("# A comment.\n"),
    "an unused constant before each function": _before_functions("_UNUSED = 'a constant that nobody reads'\n"),
    "an unused function at the end": lambda text: f"{text}\n\ndef _unused(x):\n    return [x, x]\n",
    "twenty unused functions at the end": lambda text: (
        text + "".join(f"\n\ndef _unused_{n}(x):\n    return [x, {n}]\n" for n in range(20))
    ),
    "an unused import at the end": lambda text: f"{text}\nimport string as _string\n",
    "methods in reverse order": _methods_reversed,
}
"""Edits of the text of a module, by description."""


def edit_revision(revision: Revision, name: str) -> Revision:
    """The revision with the edit ``name`` in all of its Python modules that are not empty."""
    files = {
        path: EDITS[name](content.decode()).encode() if path.endswith(".py") and content.strip() else content
        for path, content in revision.files.items()
    }
    return replace(revision, title=f"{revision.title} with {name}", commit=None, files=files)
