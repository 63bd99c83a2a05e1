"""The instructions of a call, counted in two worktrees, and what the gate says about them."""

import dis
import subprocess
import sys
from pathlib import Path

import pytest

from bench.gate import counted_rows
from bench.records.gate_schema import CountRecord
from bench.records.schema import Ratio
from bench.report import gate_tables
from pairbench import bytecode, instruction_counts, valgrind
from pairbench.gate_protocol import Failure
from pairbench.instruction_counts import CallCount, CountPlan
from pairbench.progress import NoProgress
from pairbench.worktrees import Worktree
from tests.counted import PACKAGE, Function
from tests.gates import gate, plant
from tests.helpers import one_line_error
from tests.test_csv_rows import gate_row

needs_valgrind = pytest.mark.skipif(valgrind.obstacle() != "", reason=valgrind.obstacle())


def loop(count):
    for _ in range(count):
        pass


class Counter:
    """Loops in a method, in a generator and in a callback of a function in C."""

    def __init__(self, count):
        self.count = count

    def values(self):
        yield self.method(self.count)

    def method(self, count):
        loop(count)

    def key(self, value):
        loop(self.count)
        return value


def indirect(count):
    counter = Counter(count)
    list(counter.values())
    sorted([1], key=counter.key)


def instructions_per_iteration(function):
    """The instructions from the loop's FOR_ITER to its jump back, by the disassembler."""
    names = [instruction.opname for instruction in dis.get_instructions(function)]
    return names.index("JUMP_BACKWARD") - names.index("FOR_ITER") + 1


@pytest.mark.parametrize(("function", "loops"), [(loop, 1), (indirect, 2)])
@pytest.mark.parametrize("more", [1, 7, 1000])
def test_a_longer_loop_adds_its_instructions(function, loops, more):
    """A count of the outer function alone, or of lines, calls or the first call only, would differ."""
    assert instructions_per_iteration(loop) == 3
    before = bytecode.count_bytecode(function, (5,))
    assert bytecode.count_bytecode(function, (5 + more,)) == before + 3 * loops * more


def test_a_call_of_a_function_in_c_has_no_bytecode():
    assert bytecode.count_bytecode(len, ("abc",)) == 0


def test_a_tracer_is_put_back_even_if_the_call_fails():
    def tracer(*event):
        return None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        with pytest.raises(ZeroDivisionError):
            bytecode.count_bytecode(lambda: 1 / 0, ())
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)


def lay_out(folder, **sources):
    """A worktree for each side, with the sides' sources of the package."""
    worktrees = {}
    for side, source in sources.items():
        package = folder / side / PACKAGE
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(source)
        worktrees[side] = Worktree(package.parent, PACKAGE)
    return worktrees


def plans(*names, loops=1):
    return [CountPlan(key=name, workload=Function(name), loops=loops) for name in names]


BASE = """
import os

lasting = []


def loop():
    for _ in range(5):
        pass


def first_of_a_set():
    for word in set(map(str, range(500))):
        if word == "250":
            break


def growing():
    lasting.append(None)
    for _ in lasting:
        pass


def dying():
    os._exit(1)


def failing():
    raise ValueError("on purpose")
"""


@pytest.mark.slow
def test_the_counts_of_two_worktrees(tmp_path):
    worktrees = lay_out(tmp_path, base=BASE, head=BASE.replace("range(5)", "range(12)"))
    counts = {
        count.key: count
        for count in instruction_counts.count_bytecode(
            worktrees, plans("loop", "dying", "first_of_a_set", "growing", "failing")
        )
    }
    loop_count = counts["loop"].by_side
    assert loop_count["head"] - loop_count["base"] == 7 * 3
    same = counts["first_of_a_set"].by_side  # the order of a set of texts depends on the hashes of the process
    assert same["head"] == same["base"] > 0
    reasons = {key: count.reason for key, count in counts.items() if not count.by_side}
    assert reasons.pop("dying").endswith(": the worker process ended with status 1")
    assert reasons.pop("growing").startswith("base: two counts of the same call differ, ")
    assert [*reasons] == ["failing"]
    assert reasons["failing"].startswith("base: ValueError: on purpose")


@pytest.mark.parametrize("answer", [None, "5", -1, True, 0.5, Failure("on purpose")])
def test_a_lying_side_has_no_count(answer):
    def read(found, plan):
        return instruction_counts._whole_number(found)

    (plan,) = plans("loop")
    count = instruction_counts._read_answers(plan, {"base": 5, "head": answer}, read)
    assert count.by_side == {}
    assert count.reason == ("head: on purpose" if isinstance(answer, Failure) else "head: sent an invalid answer")


def test_the_numbers_of_calls_differ():
    for loops in (1, 2, 31, 32, 10**6):
        fewer, more = plans("loop", loops=loops)[0].numbers
        assert 1 <= fewer < more <= instruction_counts.MOST_CALLS


WAITING = """
import os, signal, time
from itertools import repeat


def loop():
    for _ in repeat(None, 20_000):
        pass


def wait():
    time.sleep(0.0001)


def crash():
    os.kill(os.getpid(), signal.SIGILL)


def same():
    sorted(set(map(str, range(500))))
"""
MORE_LOOPS = WAITING.replace("20_000", "21_000").replace("0.0001", "0.01")
ALONE = """
from itertools import repeat

def loop(count):
    for _ in repeat(None, count):
        pass

loop({count})
"""


def instructions_of_a_process(count):
    """The instructions of a whole process that runs the loop, as Callgrind counts them."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no", sys.executable, "-S"]
    done = subprocess.run(
        [*command, "-c", ALONE.format(count=count)],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stderr.rpartition("Collected : ")[2].split()[0])


@needs_valgrind
@pytest.mark.slow
def test_the_machine_instructions_of_two_worktrees(tmp_path, monkeypatch):
    monkeypatch.setattr(instruction_counts.tempfile, "tempdir", str(tmp_path))
    worktrees = lay_out(tmp_path, base=WAITING, head=MORE_LOOPS)
    names = plans("loop", "wait", "crash", "same", loops=2)
    counts = {count.key: count for count in instruction_counts.count_machine_instructions(worktrees, names)}
    assert counts["crash"].reason == "base: a process that makes the call died of SIGILL"
    for key in ("same", "wait"):  # a longer wait takes as many instructions
        assert counts[key].by_side["head"] == pytest.approx(counts[key].by_side["base"], rel=0.001)
    loops = counts["loop"].by_side
    alone = (instructions_of_a_process(200_000) - instructions_of_a_process(100_000)) / 100_000
    assert (loops["head"] - loops["base"]) / 1000 == pytest.approx(alone, rel=0.001)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "head"}


@pytest.mark.parametrize(
    ("path", "flags", "machine", "reason"),
    [
        ("", "fma avx2", "x86_64", "valgrind is not installed"),
        ("valgrind", "fma avx", "x86_64", "the processor lacks AVX2"),
        ("valgrind", "fma avx2", "aarch64", "the processor lacks AVX2"),
        ("valgrind", None, "x86_64", "the processor lacks AVX2"),
        ("valgrind", "avx fma bmi2 avx2 sse4_2", "x86_64", ""),
    ],
)
def test_an_obstacle_is_named(monkeypatch, tmp_path, path, flags, machine, reason):
    (tmp_path / "bin").mkdir()
    if path:
        (tmp_path / "bin" / path).touch(0o755)
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(valgrind.machine, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(valgrind.platform, "machine", lambda: machine)
    found = valgrind.obstacle()
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


def explained(change=1.061, changed_times=("backend",), uncounted="", **counts):
    records = {name: CountRecord(base=base, head=head) for name, (base, head) in counts.items()}
    row = gate_row(
        change=Ratio(estimate=change, low=None, high=None),
        changed_times=list(changed_times),
        uncounted=uncounted,
        **{"bytecode": None, "instructions": None} | records,
    )
    text = " ".join(gate_tables.count_sentences([row]))
    return text.removeprefix("numpy_plain, forward 3-3-1, 1 sample: ")


def test_the_counts_stand_beside_the_change():
    assert explained(instructions=(1000, 1059)) == "time +6.1 %, instructions +5.9 %"
    unchanged = "time +6.1 %, instructions unchanged: layout, caches or the machine"
    assert explained(instructions=(1e6, 1e6 + 4999)) == unchanged
    assert explained(instructions=(1e6, 1e6 - 5001)) == "time +6.1 %, instructions -0.5 %"
    assert explained(bytecode=(550, 583)) == "time +6.1 %, bytecode +6.0 %"
    assert explained(bytecode=(700_000, 700_003)) == "time +6.1 %, bytecode 700000 → 700003"
    assert explained(bytecode=(0, 3)) == "time +6.1 %, bytecode 0 → 3"
    calls = "time +6.1 %, bytecode unchanged: the functions that it calls, layout, caches or the machine"
    assert explained(bytecode=(550, 550)) == calls
    both = explained(bytecode=(550, 550), instructions=(1e5, 1.2e5))
    assert both == "time +6.1 %, bytecode unchanged, instructions +20.0 %"
    quiet = explained(1.003, (), instructions=(1000, 1000))
    assert quiet == "time +0.3 %, instructions unchanged"  # there is nothing to explain
    assert explained(uncounted="because") == "not counted: because"
    assert explained(uncounted="because", bytecode=(0, 0), changed_times=()) == (
        "time +6.1 %, bytecode unchanged; not counted: because"
    )
    assert explained() == ""


class Plan:
    workload, loops = None, 1


def counts_of(counter, monkeypatch, obstacle="", **rows):
    """The counted rows, with their notes, if ``counter`` counts the machine instructions."""

    def count_bytecode(worktrees, to_count):
        return (CallCount(plan.key, {"base": 5.0, "head": 6.0}) for plan in to_count)

    monkeypatch.setattr(valgrind, "obstacle", lambda: obstacle)
    monkeypatch.setattr(counted_rows, "COUNTERS", {"bytecode": count_bytecode, "instructions": counter})
    bare = {"bytecode": None, "instructions": None, "uncounted": ""}
    rows = rows or {"a": {}, "b": {}}
    documents = {key: gate_row(**{"base_seconds": 1e-6} | bare | changes) for key, changes in rows.items()}
    found, notes = counted_rows.add_counts(documents, dict.fromkeys(rows, Plan), {}, NoProgress())
    for row, document in zip(found, documents.values(), strict=True):
        assert row.model_copy(update=bare) == document  # the count has changed nothing else
    return found, notes


def one_and_then(error):
    def counter(worktrees, to_count):
        yield CallCount(to_count[0].key, {"base": 50.0, "head": 50.0})
        raise error

    return counter


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyboardInterrupt(), "machine instructions: the count was interrupted"),
        (OSError("no room"), "machine instructions: no room"),
    ],
)
def test_a_count_that_ends_early_costs_only_the_missing_counts(error, reason, monkeypatch):
    (first, second), notes = counts_of(one_and_then(error), monkeypatch)
    assert (first.instructions.head, first.uncounted) == (50.0, "")
    assert (second.instructions, second.uncounted) == (None, reason)
    assert first.bytecode.head == second.bytecode.head == 6.0
    assert notes == []


def test_rows_without_a_change_and_long_calls_are_not_counted(monkeypatch):
    rows = {"unchanged": {"change": None}, "long": {"base_seconds": 0.2}, "short": {}}
    found, notes = counts_of(None, monkeypatch, "valgrind is not installed", **rows)
    assert [row.bytecode is not None for row in found] == [False, False, True]
    assert [row.uncounted for row in found] == ["", "a call takes longer than 0.1 s", ""]
    assert notes == ["Machine instructions are not counted: valgrind is not installed."]
    assert counts_of(None, monkeypatch, "valgrind is not installed", unchanged={"change": None})[1] == []


@pytest.mark.slow
def test_a_gate_counts_what_was_planted(repository, capsys, monkeypatch):
    monkeypatch.setattr(valgrind, "obstacle", lambda: "valgrind is not installed")
    plant(repository, "numpy_plain", "[None for _ in range(3000)]")
    _, rows, document = gate("--counts", "--budget", "4", "--markdown", "summary.md", rows=())
    out = " ".join(capsys.readouterr().out.split())
    slow, control = rows["numpy_plain"], rows["python_loops"]
    assert slow.bytecode.head - slow.bytecode.base > 4 * 3000
    assert control.bytecode.head == control.bytecode.base > 100
    assert rows["numpy_vectorized"].bytecode is None  # it is unchanged, so that it was not measured
    assert "Machine instructions are not counted: valgrind is not installed." in document.notes
    for text in (out, Path("summary.md").read_text()):
        assert "numpy_plain, forward 3-3-1, 1 sample: time +" in text
        assert "These counts explain a change of the time." in text


def test_counts_need_a_base(repository, capsys):
    line = one_line_error(capsys, "gate", "--baseline", "baseline.json", "--counts")
    assert "--counts belongs to --against" in line
