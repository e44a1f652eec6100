"""Device time: read when the device has come to it, never waited for; on a real GPU where there is one."""

import sys
import threading
import time
import types

import pytest

from algoprof import devices, measuring, profile, section, snapshot

MILLISECOND = 1_000_000
timed = measuring.with_options(device="cuda")


class FakeEvent:
    """An event of a device that comes to nothing until the test says so."""

    made = 0

    def __init__(self, *, enable_timing):
        assert enable_timing
        type(self).made += 1
        self.cuda = sys.modules["torch"].cuda
        self.at = None

    def record(self, stream):
        assert stream == "stream"
        self.at = self.cuda.clock

    def query(self):
        if self.cuda.broken:
            raise RuntimeError("an illegal memory access was encountered")
        return self.at <= self.cuda.done

    def elapsed_time(self, other):
        assert self.query()
        assert other.query()
        return other.at - self.at


@pytest.fixture
def cuda(monkeypatch):
    """A fake `torch.cuda`: `clock` is where its stream ends, in milliseconds, and `done` how far it has come."""
    cuda = types.SimpleNamespace(
        clock=0, done=0, broken=False, initialized=True, capturing=False, Event=FakeEvent, waits=0
    )
    cuda.is_initialized = lambda: cuda.initialized
    cuda.is_current_stream_capturing = lambda: cuda.capturing
    cuda.current_stream = lambda: "stream"
    cuda.synchronize = lambda: pytest.fail("nobody may wait for the device")
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    yield cuda
    devices.cuda_times._pending.clear()


def test_a_time_is_added_when_the_device_has_come_to_it(cuda):
    with profile("job") as run:
        with timed("infer"):
            cuda.clock += 5
        assert run.snapshot().node("job", "infer").device_time is None
        cuda.done = cuda.clock
        with timed("next"):
            assert run.snapshot().node("job", "infer").device_time == 0.005
        assert run.snapshot().node("job", "infer").total_time < 5
    assert run.snapshot().dropped == 0


def test_what_is_over_at_the_runs_end_counts_and_the_rest_is_dropped(cuda):
    with profile("job") as run:
        for _ in range(3):
            with timed("infer"):
                cuda.clock += 4
        cuda.done = 8
    taken = run.snapshot()
    assert (taken.node("job", "infer").device_time, taken.dropped) == (0.008, 1)
    assert not devices.cuda_times._pending
    cuda.done = cuda.clock
    with profile("later") as later, timed("infer"):
        pass
    assert later.snapshot().dropped == 0
    assert run.snapshot().node("job", "infer").device_time == 0.008


def test_nested_runs_settle_their_own(cuda):
    with profile("outer") as outer:
        with timed("first"):
            cuda.clock += 3
        with profile("inner") as inner, timed("second"):
            cuda.clock += 2
        cuda.done = cuda.clock
    assert inner.snapshot().dropped == 1
    assert (outer.snapshot().node("outer", "first").device_time, outer.snapshot().dropped) == (0.003, 0)


def test_nested_and_recursive_sections(cuda):
    def descend(levels):
        with timed("step"):
            cuda.clock += 1
            if levels:
                descend(levels - 1)

    with profile("job") as run:
        with timed("outer"):
            descend(3)
        cuda.done = cuda.clock
    outer = run.snapshot().node("job", "outer")
    assert (outer.device_time, outer.children[0].device_time, outer.children[0].count) == (0.004, 0.004, 4)


def test_a_generator_counts_its_own_steps(cuda):
    @timed("steps")
    def steps():
        for _ in range(2):
            cuda.clock += 1
            yield

    with profile("job") as run:
        for _ in steps():
            cuda.clock += 10
        cuda.done = cuda.clock
    assert run.snapshot().node("job", "steps").device_time == pytest.approx(0.002, abs=1e-8)


def test_threads_add_to_their_own_and_may_read_each_others(cuda):
    def run():
        with profile("threads"), timed("infer"):
            pass

    cuda.done = 1
    workers = [threading.Thread(target=run) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    node = snapshot().node("threads", "infer")
    assert (node.count, node.device_ns) == (8, 8)  # at least a nanosecond each, so that it shows as measured
    assert not devices.cuda_times._pending


def test_what_waits_is_bounded_and_asking_costs_little(cuda, monkeypatch):
    asked = []
    monkeypatch.setattr(FakeEvent, "query", lambda event: bool(asked.append(event)))
    with profile("job") as run:
        for _ in range(devices._PENDING_LIMIT + 10):
            with timed("infer"):
                pass
        assert len(devices.cuda_times._pending) == devices._PENDING_LIMIT
        before = len(asked)
        with timed("infer"):
            pass
        assert len(asked) - before <= 2 * devices._ASKED_AT_ONCE
    assert run.snapshot().dropped == devices._PENDING_LIMIT + 11


def test_errors_of_the_device_are_left_to_the_program(cuda):
    with profile("job") as run:
        with timed("infer"):
            cuda.broken = True
        with timed("next"):
            pass
    taken = run.snapshot()
    assert (taken.node("job", "infer").count, taken.node("job", "next").count, taken.dropped) == (1, 1, 2)


def test_nothing_is_asked_while_a_graph_is_captured(cuda):
    FakeEvent.made = 0
    with profile("job") as run:
        cuda.capturing = True
        with timed("captured"):
            pass
        cuda.capturing = False
    assert FakeEvent.made == 0
    assert run.snapshot().dropped == 1


def test_the_first_use_of_the_device_within_a_section_is_dropped_and_does_not_start_it_earlier(cuda):
    cuda.initialized = False
    with profile("job") as run, timed("load"):
        cuda.initialized = True
    assert (run.snapshot().node("job", "load").device_time, run.snapshot().dropped) == (None, 1)


@pytest.mark.parametrize("torch", [None, types.SimpleNamespace(), types.SimpleNamespace(cuda=None)])
def test_without_cuda_the_section_is_recorded_and_that_is_said_once(monkeypatch, caplog, torch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    if torch is not None:
        monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setattr(devices.cuda_times, "_told", False)
    with profile("job") as run:
        for _ in range(3):
            with timed("infer"):
                pass
    taken = run.snapshot()
    assert (taken.node("job", "infer").count, taken.node("job", "infer").device_time, taken.dropped) == (3, None, 0)
    assert [record.name for record in caplog.records] == ["algoprof"]
    assert "recorded without device time" in caplog.text
    assert ("torch" in sys.modules) == (torch is not None)


def test_a_forked_child_leaves_the_parents_device_alone(run_python):
    done = run_python("""
        import os
        from algoprof import devices
        devices.cuda_times._pending.append(object())
        child = os.fork()
        if not child:
            os._exit(len(devices.cuda_times._pending))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(devices.cuda_times._pending))
        """)
    assert (done.stdout, done.stderr) == ("0 1\n", "")


def test_the_report_shows_a_column(cuda):
    from algoprof.exporters.text import render

    with profile("job") as run:
        with timed("infer"):
            cuda.clock += 5
        cuda.done = cuda.clock
    row = next(line for line in render(run.snapshot()).splitlines() if line.startswith("  infer"))
    assert "5.00 ms" in row


@pytest.fixture(scope="module")
def torch():
    """The real one, with a GPU that has done something; else a visible skip."""
    torch = pytest.importorskip("torch", reason="needs torch, which is not installed here")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch can use, and there is none here")
    torch.ones(1, device="cuda").item()
    return torch


CYCLES = 200_000_000  # about 0.1 s on a GPU of 2 GHz


def kernel(torch):
    torch.cuda._sleep(CYCLES)


@pytest.fixture(scope="module")
def kernel_seconds(torch):
    """How long the kernel takes, measured by hand."""
    kernel(torch)
    torch.cuda.synchronize()
    began = time.perf_counter()
    kernel(torch)
    torch.cuda.synchronize()
    return time.perf_counter() - began


def test_on_a_gpu_device_time_is_the_kernels_and_the_section_does_not_wait(torch, kernel_seconds):
    with profile("job") as run:
        with timed("infer"):
            kernel(torch)
        with section("waits"):
            torch.cuda.synchronize()
    taken = run.snapshot()
    infer = taken.node("job", "infer")
    assert infer.device_time == pytest.approx(kernel_seconds, rel=0.2)
    assert infer.total_time < kernel_seconds / 2
    assert taken.dropped == 0


def test_on_a_gpu_a_run_that_ends_early_does_not_wait(torch, kernel_seconds):
    began = time.perf_counter()
    with profile("job") as run, timed("infer"):
        kernel(torch)
    took = time.perf_counter() - began
    torch.cuda.synchronize()
    assert took < kernel_seconds / 2
    assert (run.snapshot().node("job", "infer").device_time, run.snapshot().dropped) == (None, 1)


def test_on_a_gpu_many_sections_add_up_and_streams_keep_apart(torch, kernel_seconds):
    idle = torch.cuda.Stream()
    with profile("job") as run:
        for _ in range(3):
            with timed("busy"):
                kernel(torch)
            with torch.cuda.stream(idle), timed("beside"):
                torch.ones(8, device="cuda")
        torch.cuda.synchronize()
    taken = run.snapshot()
    assert taken.node("job", "busy").device_time == pytest.approx(3 * kernel_seconds, rel=0.2)
    assert taken.node("job", "beside").device_time < kernel_seconds
    assert taken.dropped == 0


def test_on_a_gpu_a_graph_can_be_captured_within_a_section(torch):
    graph, held = torch.cuda.CUDAGraph(), torch.ones(8, device="cuda")
    with profile("job") as run:
        with timed("around"):
            held.add_(1)
        with torch.cuda.graph(graph), timed("captured"):
            held.add_(1)
        graph.replay()
        torch.cuda.synchronize()
    assert held[0].item() == 3
    assert run.snapshot().node("job", "around").device_time > 0
    assert run.snapshot().node("job", "captured").device_time is None
