"""supervisord as the stack uses it: programs are started on request, restarted after a crash, stopped on request."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psutil
import pytest

from tillstream_native import supervision
from tillstream_native.places import SOCKET_PATH_LIMIT, Places
from tillstream_native.processes import Program
from tillstream_native.supervision import Supervisor
from tillstream_native.system import CannotRun

pytestmark = pytest.mark.integration

WAIT_S = 30
# Writes its environment when it runs, then waits for a signal.
TELLER = (
    "import json, os, signal, sys; from pathlib import Path;"
    "print('here I am', flush=True); half = Path(sys.argv[1] + '.half');"
    "half.write_text(json.dumps(dict(os.environ))); half.rename(sys.argv[1]); signal.pause()"
)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"


def teller(places: Places, name: str, environment: Mapping[str, str]) -> Program:
    told = places.run / f"{name}.json"
    command = (sys.executable, "-c", TELLER, str(told))
    return Program(name, command, places.data, ports=(), environment=environment, stop_within_s=5)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    made = Places(tmp_path_factory.mktemp("state with an odd, name"), Path("unused"))
    made.create()
    return made


@pytest.fixture(scope="module")
def supervisor(places: Places) -> Iterator[Supervisor]:
    """supervisord with two programs that it has started."""
    made = Supervisor(places)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TILLSTREAM_FROM_OUTSIDE", "leaks")
        made.configure(
            [teller(places, "one", {"SETTING": 'a "quoted" 50% \\ value'}), teller(places, "two", {})]
        )
        made.launch()
    made.start(["one", "two"])
    wait_for(lambda: all(state == "running" for state, _ in made.states().values()))
    wait_for(lambda: all((places.run / f"{name}.json").exists() for name in ("one", "two")))
    yield made
    made.stop(made.states(), WAIT_S)
    made.shutdown(WAIT_S)
    assert not made.running
    assert made.states() == {}


def test_program_sees_its_own_settings_and_none_of_the_callers(
    supervisor: Supervisor, places: Places
) -> None:
    assert supervisor.running
    one = json.loads((places.run / "one.json").read_text())
    two = json.loads((places.run / "two.json").read_text())
    assert one["SETTING"] == 'a "quoted" 50% \\ value'
    assert "SETTING" not in two
    assert "TILLSTREAM_FROM_OUTSIDE" not in one | two
    assert one["TILLSTREAM_STACK"] == str(places.state)


def test_killed_program_comes_back(supervisor: Supervisor) -> None:
    _, before = supervisor.states()["one"]
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: supervisor.states()["one"] != ("running", before))
    wait_for(lambda: supervisor.states()["one"][0] == "running")


def test_stopped_program_stays_down_until_it_is_started(supervisor: Supervisor) -> None:
    _, pid = supervisor.states()["two"]
    assert pid is not None
    supervisor.stop(["two"], WAIT_S)
    assert supervisor.states()["two"] == ("stopped", None)
    assert not psutil.pid_exists(pid)
    supervisor.start(["two"])
    wait_for(lambda: supervisor.states()["two"][0] == "running")


def test_starting_what_runs_changes_nothing(supervisor: Supervisor) -> None:
    wait_for(lambda: supervisor.states()["one"][0] == "running")
    before = supervisor.states()["one"]
    supervisor.start(["one"])
    assert supervisor.states()["one"] == before


def test_a_supervisor_that_says_nothing_is_told_of_in_time(supervisor: Supervisor, places: Places) -> None:
    pid = int((places.run / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(supervision, "ANSWERS_WITHIN_S", 0.2)
            for ask in (
                lambda: supervisor.running,
                supervisor.states,
                lambda: supervisor.stop(["one"], WAIT_S),
            ):
                with pytest.raises(
                    CannotRun, match=rf"supervisord \(process {pid}\) has not answered within 0.2 s"
                ):
                    ask()
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: supervisor.states()["one"][0] == "running")


def test_what_a_program_says_is_in_its_log(supervisor: Supervisor, places: Places) -> None:
    assert supervisor.running
    assert "here I am" in places.log("one").read_text()


def test_socket_of_a_deep_clone_has_a_short_path(tmp_path: Path) -> None:
    deep = Places(tmp_path.joinpath(*["folder"] * 20), tmp_path)
    assert len(str(deep.socket)) <= SOCKET_PATH_LIMIT
    assert deep.socket != Places(tmp_path.joinpath(*["other"] * 20), tmp_path).socket


def test_others_see_neither_the_broker_s_records_nor_what_lies_in_the_data_folder(tmp_path: Path) -> None:
    places = Places(tmp_path / "state", tmp_path)
    places.kafka.mkdir(mode=0o755, parents=True)
    places.create()
    modes = {each.name: each.stat().st_mode & 0o777 for each in (places.kafka, places.secrets, places.data)}
    assert modes == {"kafka": 0o700, "secrets": 0o700, "data": 0o711}


@pytest.mark.parametrize(
    ("name", "reason"), [("state #1", "as a comment"), ("state 100%", "trips over the %")]
)
def test_path_that_supervisord_misreads_is_refused(name: str, reason: str, tmp_path: Path) -> None:
    odd = Places(tmp_path / name, tmp_path)
    odd.create()
    with pytest.raises(CannotRun, match=reason):
        Supervisor(odd).configure([teller(odd, "one", {})])


def test_setting_that_supervisord_misreads_is_refused(tmp_path: Path) -> None:
    places = Places(tmp_path, tmp_path)
    places.create()
    with pytest.raises(CannotRun, match="too many quotes"):
        Supervisor(places).configure([teller(places, "one", {"SETTING": "a 'b' \"c\""})])
