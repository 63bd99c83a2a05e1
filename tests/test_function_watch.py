"""The watch for replaced functions, in a process of its own, because an audit hook cannot be removed."""

import json

import pytest

from tests.helpers import python

CHANGES = {
    "code": "function.__code__ = (lambda function, arguments, clock=None: None).__code__",
    "defaults": "function.__defaults__ = (None,)",
    "defaults, by object": "object.__setattr__(function, '__defaults__', (None,))",
    "no defaults": "del function.__defaults__",
    "keyword defaults": "function.__kwdefaults__ = {'clock': None}",
    "code of another function": "(lambda: None).__code__ = (lambda: 1).__code__",
    "nothing": "",
}
SOURCE = """
import json, sys
from pairbench import timer
from pairbench.function_watch import PARTS, FunctionWatch
from pairbench.workload import WorkloadError

function = timer.time_calls
watch = FunctionWatch("pairbench")
if {audited}:
    watch.add_audit_hook()
reasons = []
for change in json.loads(sys.argv[1]) * 2:
    before = [getattr(function, part) for part in PARTS]
    exec(change)
    try:
        watch.require_unchanged()
    except WorkloadError as error:
        reasons.append(str(error))
    else:
        reasons.append("")
    assert all(getattr(function, part) is value for part, value in zip(PARTS, before))
print(json.dumps(reasons))
"""


@pytest.mark.parametrize("audited", [False, True])
def test_each_change_of_what_a_function_does_is_noticed_and_undone(audited):
    done = python("-c", SOURCE.format(audited=audited), json.dumps([*CHANGES.values()]))
    assert done.returncode == 0, done.stderr
    replaced = "replaces pairbench.timer.time_calls"
    expected = dict.fromkeys(CHANGES, replaced) | {"code of another function": "", "nothing": ""}
    assert json.loads(done.stdout) == [*expected.values()] * 2
