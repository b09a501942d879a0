"""What the service holds under load that lasts: memory and descriptors, no request lost at its end, a worker replaced.

`soak.py` asks for ten minutes with good and bad requests, ends the service 20 times under load, and kills its worker 10
times. It fails when memory or descriptors grow, a request gets no answer or one of 5xx, or the end loses one.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import serve

MIB = 2**20
MAX_BODY = 6 * MIB
MAX_GROWTH = 8 * MIB  # from the second tenth of the soak to its end
CLIENTS = 8
SAMPLE_SECONDS = 1.0


class Client(threading.Thread):
    """Asks one thing after the other until it is stopped, or the service ends the connection."""

    def __init__(self, port: int, requests: list[tuple[bytes, str]]) -> None:
        super().__init__(daemon=True)
        self.port, self.requests = port, requests
        self.statuses: collections.Counter[int] = collections.Counter()
        self.lost = 0
        self.stopped = False

    def run(self) -> None:
        """Until stopped."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.connect()
        except OSError:
            return  # it was over before it began
        number = 0
        while not self.stopped:
            body, content_type = self.requests[number % len(self.requests)]
            number += 1
            try:
                connection.request("POST", "/invocations", body, {"Content-Type": content_type})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                if len(body) > MAX_BODY:  # refused while it was still being sent
                    connection.close()
                    continue
                self.lost += 1
                return
            self.statuses[answer.status] += 1
            if answer.getheader("connection") == "close":
                connection.close()
                if answer.status == http.HTTPStatus.OK:  # the service ends
                    return


def requests_of(rows: list[list[float]]) -> list[tuple[bytes, str]]:
    """Return requests that are right, wrong and odd."""
    lines = [",".join(map(str, row)) for row in rows]
    good = [
        (lines[0].encode(), "text/csv"),
        ("\n".join(lines).encode(), "text/csv"),
        (serve.body(rows[:1], "json").encode(), "application/json"),
        (serve.body(rows, "json").encode(), "application/json"),
        ("\n".join(f"[{line}]" for line in lines[:10]).encode(), "application/jsonlines"),
    ]
    bad = [
        (b"", "text/csv"),
        (b"1,2,3", "text/csv"),
        (lines[0].replace(".", "x").encode(), "text/csv"),
        (b'{"instances": [[', "application/json"),
        (b"[" * 20_000, "application/json"),
        (b"\x93NUMPY", "application/x-npy"),
        (b"x" * (MAX_BODY + 1), "text/csv"),
        (lines[0].encode(), "image/png"),
    ]
    return [request for pair in zip(good * 2, bad, strict=False) for request in pair]


def load(port: int, requests: list[tuple[bytes, str]], number: int = CLIENTS) -> list[Client]:
    """Return clients that ask."""
    clients = [Client(port, requests[n % len(requests) :] + requests[: n % len(requests)]) for n in range(number)]
    for client in clients:
        client.start()
    return clients


def worker_of(pid: int) -> int:
    """Return the one worker of a supervisor, once it is there."""
    while not (children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        time.sleep(0.001)
    return int(children[0])


def held_by(pid: int) -> tuple[int, int]:
    """Return the bytes of memory (RSS) and the descriptors that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(list(Path(f"/proc/{pid}/fd").iterdir()))


def soak(server: serve.Server, scratch: Path, requests: list[tuple[bytes, str]], seconds: float) -> bool:
    """Ask for some time; print what was answered and held, and return whether that is as it should be."""
    with serve.running(server, scratch) as (port, process):
        worker = worker_of(process.pid)
        clients = load(port, requests)
        held, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(SAMPLE_SECONDS)
            held.append(held_by(worker))
        for client in clients:
            client.stopped = True
        for client in clients:
            client.join(30)
        time.sleep(1)
        idle = held_by(worker)
    statuses = sum((client.statuses for client in clients), collections.Counter())
    tenth = max(1, len(held) // 10)
    early, late = (statistics.median(memory for memory, _ in part) for part in (held[tenth : 2 * tenth], held[-tenth:]))
    lost = sum(client.lost for client in clients)
    print(f"soak: {seconds:g} s, {sum(statuses.values()):,} answers {dict(sorted(statuses.items()))}, {lost} lost")
    print(f"  memory {early / MIB:.1f} MiB early, {late / MIB:.1f} late, most {max(held)[0] / MIB:.1f}")
    print(f"  descriptors {held[0][1]} first, {max(count for _, count in held)} most, {idle[1]} after all clients left")
    fits = late - early < MAX_GROWTH and idle[1] <= held[0][1] and not lost
    return fits and not any(status >= http.HTTPStatus.INTERNAL_SERVER_ERROR for status in statuses)


def drain(server: serve.Server, scratch: Path, requests: list[tuple[bytes, str]], runs: int) -> bool:
    """End the service under load; print and return whether no request was lost, and each end was in order."""
    lost = answered = 0
    took, statuses = list[float](), list[int]()
    for _ in range(runs):
        with serve.running(server, scratch) as (port, process):
            clients = load(port, requests)
            time.sleep(0.5)
            started = time.monotonic()
            process.terminate()
            statuses.append(process.wait(30))
            for client in clients:
                client.join(30)
            took.append(time.monotonic() - started)
        lost += sum(client.lost for client in clients)
        answered += sum(sum(client.statuses.values()) for client in clients)
    print(f"drain: {runs} ends under load, {answered:,} answers, {lost} lost, longest {max(took, default=0):.2f} s")
    return lost == 0 and not any(statuses)


def recover(server: serve.Server, scratch: Path, requests: list[tuple[bytes, str]], runs: int) -> bool:
    """Kill the worker under load; print how long until the next answer, and return whether there always was one."""
    took, lost = [], []
    with serve.running(server, scratch) as (port, process):
        for _ in range(runs):
            clients = load(port, requests)
            time.sleep(0.5)
            killed = time.monotonic()
            os.kill(worker_of(process.pid), signal.SIGKILL)
            for client in clients:
                client.join(30)  # each loses its connection
            while not serve.answers(f"http://127.0.0.1:{port}/ping"):
                time.sleep(0.005)
            took.append(time.monotonic() - killed)
            lost.append(sum(client.lost for client in clients))
            time.sleep(6)  # more deaths at once would mean that something is wrong, and end the service
    middle = statistics.median(took)
    print(f"kill: {runs} times, ready again after {min(took):.2f} to {max(took):.2f} s, median {middle:.2f}")
    print(f"  requests lost each time, of {CLIENTS} at once: {sorted(lost)}")
    return max(lost) <= CLIENTS


def main() -> None:
    """Measure and print; exit 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of the soak; 0: none")
    parser.add_argument("--drains", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--environments", type=Path, help="folder to keep the environments in, for another run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        environments = (arguments.environments or scratch / "environments").resolve()
        server = serve.servers(scratch, environments, arguments.python, ["no peer"])[0]
        rows = serve.sample_rows(next(path.parent for path in scratch.glob("*/pipeline.json")))
        requests = requests_of(rows)
        good = requests[::2]
        held = [
            not arguments.seconds or soak(server, scratch, requests, arguments.seconds),
            not arguments.drains or drain(server, scratch, good, arguments.drains),
            not arguments.kills or recover(server, scratch, good, arguments.kills),
        ]
    sys.exit(0 if all(held) else "error: see above")


if __name__ == "__main__":
    main()
