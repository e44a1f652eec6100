"""The stack sampler takes no signal and no timer of the program's, cuts no wait short, and notices losing its own."""

import json
import textwrap

import pytest

pytestmark = pytest.mark.alone
pytest.importorskip("algoprof.recorder._ticker", reason="needs the compiled clock")

TOOLS = """
import json, os, signal, sys, time
from algoprof import profile, section

def busy_until(is_so):
    until = time.monotonic() + 30
    while not is_so() and time.monotonic() < until:
        busy(0.01)

def tell(run, **more):
    found = run.snapshot()
    print(json.dumps({"sampler": found.sampler, "ticks": sum(one.count for one in found.samples)} | more))
"""


@pytest.fixture
def tools(busy):
    """Return the source of what scripts here have."""
    return busy + TOOLS


@pytest.fixture
def told(run_python, tools):
    def run(script: str, rate: int = 100) -> dict:
        env = {"ALGOPROF_SAMPLER": "on", "ALGOPROF_SAMPLE_RATE": str(rate)}
        done = run_python(tools + textwrap.dedent(script), env=env)
        assert (done.returncode, done.stderr) == (0, "")
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_the_alarm_and_the_timers_are_the_programs(told):
    found = told(
        """
        came = []
        with profile("job") as run:
            timers = signal.ITIMER_REAL, signal.ITIMER_PROF, signal.ITIMER_VIRTUAL
            free = [signal.getitimer(which) for which in timers]
            known = [number for number in signal.valid_signals() if isinstance(number, signal.Signals)]
            taken = [number.name for number in known if signal.getsignal(number) not in (0, 1)]
            signal.signal(signal.SIGALRM, lambda *_: came.append(1))
            signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
            busy_until(lambda: len(came) > 3)
            signal.setitimer(signal.ITIMER_REAL, 0)
        tell(run, free=free, taken=taken, came=len(came))
        """
    )
    assert found["free"] == [[0.0, 0.0]] * 3
    assert found["taken"] == ["SIGINT", "SIGURG"]
    assert found["came"] > 3
    assert found["sampler"].startswith("signal")


def test_the_signal_is_the_programs_as_soon_as_it_wants_it(told):
    found = told(
        """
        came = []
        with profile("job") as run:
            busy(0.2)
            for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
                signal.signal(number, lambda *_: came.append(1))
            busy(0.5)
            by_itself = len(came)
            signal.raise_signal(signal.SIGURG)
        tell(run, by_itself=by_itself, came=len(came))
        """
    )
    assert (found["by_itself"], found["came"]) == (0, 1)
    assert found["sampler"] == "signal, then thread"
    assert found["ticks"] > 40


@pytest.mark.parametrize("handler", ["SIG_DFL", "SIG_IGN"])
def test_a_program_may_reset_every_signal(told, handler):
    found = told(
        f"""
        with profile("job") as run:
            busy(0.2)
            for number in signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}:
                signal.signal(number, signal.{handler})
            busy(0.3)
        tell(run)
        """
    )
    assert found["ticks"] > 25


def test_a_signal_that_is_taken_already_is_left_alone(told):
    found = told(
        """
        came = []
        mine = lambda *_: came.append(1)
        signal.signal(signal.SIGURG, mine)
        with profile("job") as run:
            busy(0.3)
        tell(run, came=came, kept=signal.getsignal(signal.SIGURG) is mine)
        """
    )
    assert (found["sampler"], found["came"], found["kept"]) == ("thread", [], True)
    assert found["ticks"] > 15


def test_a_signal_that_c_code_has_taken_is_left_alone(told):
    found = told(
        """
        import faulthandler
        faulthandler.register(signal.SIGURG)
        with profile("job") as run:
            busy(0.3)
        tell(run)
        """
    )
    assert found["sampler"] == "thread"


@pytest.mark.parametrize(
    "wait",
    [
        "signal.pause()",
        "signal.sigwait({signal.SIGUSR1})",
        "signal.sigwait(signal.valid_signals())",
        "signal.sigtimedwait({signal.SIGUSR1}, 30)",
        "ctypes.CDLL(None).usleep(10**6)",
    ],
)
def test_no_wait_is_cut_short(told, wait):
    found = told(
        f"""
        import ctypes, threading
        signal.signal(signal.SIGUSR1, lambda *_: None)
        if "sigwait" in "{wait}" or "sigtimedwait" in "{wait}":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        with profile("job") as run:
            busy(0.2)
            threading.Timer(1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            began = time.monotonic()
            got = {wait}
            took = time.monotonic() - began
        tell(run, took=took, got=getattr(got, "si_signo", got))
        """
    )
    assert 0.9 < found["took"] < 20
    assert found["got"] in (None, 0, -1, 10)


def test_an_event_loop_hears_its_signals_however_long_it_is_busy(told):
    """Each signal is told to it through a socket, which has little room."""
    found = told(
        """
        import asyncio
        came = []

        async def main():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, came.append, 1)
            busy(1)
            os.kill(os.getpid(), signal.SIGTERM)
            for _ in range(100):
                if came:
                    break
                await asyncio.sleep(0.05)

        with profile("job") as run:
            asyncio.run(main())
        tell(run, came=came)
        """,
        rate=1000,
    )
    assert found["came"] == [1]
    assert found["ticks"] > 500


def test_what_the_programs_handler_raises_reaches_it(told):
    found = told(
        """
        def late(*_):
            raise TimeoutError("the program's")

        signal.signal(signal.SIGALRM, late)
        caught = 0
        with profile("job") as run:
            for number in range(1000):
                space = {}  # new code each time: a sample of it is the work of many steps
                exec(compile("def work():\\n while True: [one for one in range(100)]", f"{number}.py", "exec"), space)
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.001)
                    space["work"]()
                except TimeoutError:
                    caught += 1
            begun = sum(one.count for one in run.snapshot().samples)
            busy_until(lambda: sum(one.count for one in run.snapshot().samples) > begun + 100)
        tell(run, caught=caught, begun=begun)
        """,
        rate=997,
    )
    assert found["caught"] == 1000
    assert found["begun"] > 300
    assert found["ticks"] > found["begun"] + 100


def test_runs_may_open_and_end_at_any_tick(told):
    found = told(
        """
        count, short = 0, 0
        with profile("job") as run:
            def seen():
                return sum(one.count for one in run.snapshot().samples)
            while seen() < 500 and count < 30_000:
                for _ in range(100):
                    with profile("short") as inner:
                        count += 1
                        if not count % 10:
                            busy(0.002)
                    short += sum(one.count for one in inner.snapshot().samples)
        tell(run, short=short)
        """,
        rate=997,
    )
    assert found["ticks"] >= 500
    assert 0 < found["short"] <= found["ticks"]


def test_a_stack_that_is_nearly_full_stays_the_programs(run_python, tools):
    script = tools + textwrap.dedent(
        """
        def down(n):
            if n:
                return down(n - 1)
            for _ in range(1_000_000):
                pass

        with profile("job") as run:
            sys.setrecursionlimit(100)
            for n in range(85, 100):
                try:
                    down(n)
                except RecursionError:
                    break
            sys.setrecursionlimit(1000)
        print(n)
        """
    )
    without, sampled = (run_python(script, env={"ALGOPROF_SAMPLER": choice}) for choice in ("off", "on"))
    assert (sampled.stdout, sampled.stderr) == (without.stdout, "")


def test_a_program_that_execs_leaves_nothing_behind(run_python, tools):
    done = run_python(
        tools + "with profile('job'):\n    busy(0.2)\n    os.execv('/bin/sleep', ['sleep', '0.5'])",
        env={"ALGOPROF_SAMPLER": "on"},
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_forked_child_gets_the_signal_back(told):
    found = told(
        """
        with profile("job") as run:
            busy(0.1)
            child = os.fork()
            if not child:
                os._exit(0 if signal.getsignal(signal.SIGURG) is signal.SIG_DFL else 1)
            status = os.waitpid(child, 0)[1]
        tell(run, status=status)
        """
    )
    assert found["status"] == 0


def test_descriptors_that_the_program_closes_are_missed_by_nobody(told):
    found = told(
        """
        with profile("job") as run:
            busy(0.2)
            os.closerange(3, 4096)
            mine = [os.open("mine.txt", os.O_RDWR | os.O_CREAT) for _ in range(3)]
            busy(0.4)
            sizes = [os.fstat(one).st_size for one in mine]
        tell(run, sizes=sizes)
        """
    )
    assert found["sizes"] == [0, 0, 0]
    assert found["ticks"] > 20
