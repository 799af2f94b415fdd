"""Processes that end, fork or are killed: what was tracked arrives once, and nothing hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from scripted import ScriptedServer, accept, break_off, hang, scripted

SOURCE = Path(__file__).parents[1] / "src"
PREAMBLE = """
import os, sys, threading, time
from tokenledger import Client
def track(client, *names):
    for name in names:
        client.track(id=name, model="m", usage={"input": 1})
"""


def start(server: ScriptedServer, script: str) -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        "PYTHONPATH": str(SOURCE),
        # Newer Pythons warn of forks beside threads, which is what is tested.
        "PYTHONWARNINGS": "error,ignore::DeprecationWarning",
        "TOKENLEDGER_BASE_URL": server.url,
        "TOKENLEDGER_API_KEY": "tl_key",
    }
    command = [sys.executable, "-c", PREAMBLE + script]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(server: ScriptedServer, script: str) -> str:
    process = start(server, script)
    out, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
    return out


def arrived(server: ScriptedServer) -> Counter[str]:
    return Counter(name for one in server.requests for name in one.ids)


def once(*names: str) -> Counter[str]:
    return Counter(dict.fromkeys(names, 1))


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(0)", "threading.Thread(target=track, args=(client, 'late')).start()"], ids=str
)
def test_the_end_of_the_process_delivers(ending: str) -> None:
    with scripted(accept) as server:
        run(server, f"client = Client(max_age=60)\ntrack(client, 'a', 'b')\n{ending}")
        assert arrived(server) == once("a", "b", *(["late"] if "late" in ending else []))


def test_an_exception_ends_the_process() -> None:
    with scripted(accept) as server:
        process = start(server, "client = Client(max_age=60)\ntrack(client, 'a')\nraise SystemExit('broken')")
        assert "broken" in process.communicate(timeout=30)[1]
        assert process.returncode == 1
        assert arrived(server) == once("a")


def test_tracked_by_something_that_runs_at_the_end() -> None:
    """After the interpreter has begun to stop no thread can be started: whoever closes delivers."""
    with scripted(accept) as server:
        script = "import atexit\nclient = Client()\natexit.register(client.close)\natexit.register(track, client, 'a')"
        run(server, script)
        assert arrived(server) == once("a")


@pytest.mark.parametrize("step", [hang(20), break_off], ids=["hanging", "broken"])
def test_the_end_of_the_process_is_held_up_no_longer_than_set(step: object) -> None:
    with scripted(step) as server:  # type: ignore[arg-type]
        script = """
client = Client(exit_timeout=0.5, on_error=lambda event, error: print(event["id"], type(error).__name__))
track(client, "a", "b")
"""
        started = time.monotonic()
        out = run(server, script)
        assert time.monotonic() - started < 5
        assert sorted(out.split()) == ["NotSent", "NotSent", "a", "b"], "they can be kept elsewhere"


def test_a_killed_process_loses_at_most_what_was_not_flushed() -> None:
    with scripted(accept) as server:
        script = """
client = Client(max_age=60)
track(client, *(f"sent-{n}" for n in range(100)))
client.flush()
track(client, "lost")
print("ready", flush=True)
time.sleep(60)
"""
        process = start(server, script)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert arrived(server) == once(*(f"sent-{n}" for n in range(100)))


def test_forks_begin_anew() -> None:
    """What waits in the parent is sent by the parent alone; the child has its own queue, thread and connections."""
    with scripted(accept) as server:
        script = """
client = Client(max_age=60)
track(client, "before")
client.flush()
track(client, "parents")
children = []
for number in range(3):
    child = os.fork()
    if not child:
        assert client.stats.queued == client.stats.acknowledged == 0
        track(client, f"child-{number}")
        sys.exit(0)
    children.append(child)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
track(client, "after")
"""
        run(server, script)
        assert arrived(server) == once("before", "parents", "child-0", "child-1", "child-2", "after")


def test_a_fork_while_other_threads_track() -> None:
    """Whatever the other threads hold at that moment, the child is not stuck with it."""
    with scripted(accept) as server:
        script = """
client = Client(max_age=0.001, batch_size=500)
is_over = False
def keep_tracking(name):
    number = 0
    while not is_over:
        track(client, f"{name}-{number}")
        number += 1
        time.sleep(0.001)
threads = [threading.Thread(target=keep_tracking, args=(name,)) for name in "ab"]
for thread in threads:
    thread.start()
for number in range(20):
    child = os.fork()
    if not child:
        track(client, f"child-{number}")
        is_delivered = client.flush(10)
        os._exit(0 if is_delivered else 3)
    assert os.waitpid(child, 0)[1] == 0, number
is_over = True
for thread in threads:
    thread.join()
assert client.close(10)
print(client.stats.acknowledged)
"""
        parents = int(run(server, script))
        counts = arrived(server)
        assert set(counts.values()) == {1}
        assert sum(name.startswith("child-") for name in counts) == 20
        assert len(counts) == parents + 20


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_deliver_when_they_end(method: str, tmp_path: Path) -> None:
    """They end without atexit before Python 3.14."""
    module = tmp_path / "work.py"
    module.write_text(f"""{PREAMBLE}
import multiprocessing
client = Client(max_age=60)
def work(number):
    track(client, f"worker-{{number}}")
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    processes = [context.Process(target=work, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    track(client, "main")
""")
    with scripted(accept) as server:
        run(server, f"import runpy\nsys.path.insert(0, {str(tmp_path)!r})\nsys.argv = [{str(module)!r}]\n"
                    f"runpy.run_path({str(module)!r}, run_name='__main__')")  # fmt: skip
        assert arrived(server) == once("worker-0", "worker-1", "main")
