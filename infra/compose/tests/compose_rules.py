"""The rules of the house for what Compose starts: functions from a whole project to what is wrong with it, one sentence each."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

type Json = dict[str, Any]
type Rule = Callable[[str, Json], Iterator[str]]

OUR_USER = "10001"
# What may run as root, and why.
ROOT_FOR_A_MOMENT = {"folders": "opens the data folder to the services' user, without a network, and ends"}
REACHED_FROM_HERE = re.compile(r"127\.0\.0\.1:(?:[^:]+):\d+(?:/(?:tcp|udp))?")
SECRET_NAME = re.compile(r"(?:PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIALS?|(?:^|_)KEY)$", re.IGNORECASE)
SECRET_IN_ADDRESS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
LITERAL_SECRET = re.compile(r"(?:password|passwd|secret|token)\s*[=:]\s*[^\s$]", re.IGNORECASE)
CONDITIONS = frozenset({"service_healthy", "service_completed_successfully"})


def problems(project: Json) -> list[str]:
    """Everything that is wrong with a project."""
    found = [*_of_the_project(project)]
    for name, service in project["services"].items():
        rules = [*EVERY_SERVICE]
        if "build" in service:
            rules += OWN_SERVICE
        if not ends_by_itself(name, project):
            rules += LONG_RUNNING
            rules += LONG_RUNNING_AND_OURS if "build" in service else []
        found += [f"{name} {each}" for rule in rules for each in rule(name, service)]
        found += [f"{name} {each}" for each in _dependencies(service, project)]
    return found


def ends_by_itself(name: str, project: Json) -> bool:
    """A command: others wait for its end, or a profile keeps it for people to call. `restart: "no"` alone proves nothing."""
    service = project["services"][name]
    waited_for = [
        needed.get("condition")
        for other in project["services"].values()
        for target, needed in _needs(other).items()
        if target == name
    ]
    return "service_completed_successfully" in waited_for or bool(service.get("profiles"))


def _needs(service: Json) -> Mapping[str, Json]:
    needed = service.get("depends_on", {})
    return needed if isinstance(needed, Mapping) else {name: {} for name in needed}


def _of_the_project(project: Json) -> Iterator[str]:
    if "version" in project:
        yield "the project has a `version:`, which Compose ignores"
    if not project.get("name"):
        yield "the project has no name"
    for name, secret in project.get("secrets", {}).items():
        if not secret.get("file"):
            yield f"the secret {name} does not come from a file"


def _limits(_name: str, service: Json) -> Iterator[str]:
    limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
    if not (service.get("mem_limit") or limits.get("memory")):
        yield "has no limit for its memory"
    options = service.get("logging", {}).get("options", {})
    if not (options.get("max-size") and options.get("max-file")):
        yield "may fill the disk with its log"


def _powers(_name: str, service: Json) -> Iterator[str]:
    if "ALL" not in service.get("cap_drop", []):
        yield "keeps capabilities"
    if not {"no-new-privileges:true", "no-new-privileges"} & set(service.get("security_opt", [])):
        yield "may gain privileges"
    if service.get("privileged"):
        yield "is privileged"
    if any("docker.sock" in str(each) for each in service.get("volumes", [])):
        yield "is given the engine"


def _image(_name: str, service: Json) -> Iterator[str]:
    image = service.get("image", "")
    _, _, tag = image.rpartition("/")[2].partition(":")
    if "@" in image:
        yield f"pins {image} by digest"
    elif not tag or tag == "latest":
        yield f"takes whatever {image or 'its image'} is today"


def _ports(_name: str, service: Json) -> Iterator[str]:
    for port in service.get("ports", []):
        is_local = (
            port.get("host_ip") == "127.0.0.1"
            if isinstance(port, Mapping)
            else bool(REACHED_FROM_HERE.fullmatch(str(port)))
        )
        if not is_local:
            yield f"publishes {port} to others than this machine"
    if service.get("network_mode") == "host":
        yield "shares the network of this machine"


def _secrets(_name: str, service: Json) -> Iterator[str]:
    environment = service.get("environment", {})
    pairs = (
        environment.items()
        if isinstance(environment, Mapping)
        else (each.partition("=")[::2] for each in environment)
    )
    for name, value in pairs:
        is_secret = SECRET_NAME.search(name) and value not in {None, ""}
        text = str(value)
        if is_secret or SECRET_IN_ADDRESS.search(text) or LITERAL_SECRET.search(text):
            yield f"has a secret in its environment: {name}"


def _dependencies(service: Json, project: Json) -> Iterator[str]:
    for target, needed in _needs(service).items():
        if target not in project["services"]:
            yield f"waits for {target}, which is not there"
        elif needed.get("condition") not in CONDITIONS:
            yield f"does not say what it waits for {target} to be"
        elif needed["condition"] == "service_healthy" and "healthcheck" not in project["services"][target]:
            yield f"waits for the health of {target}, which has no check"


def _own_root(_name: str, service: Json) -> Iterator[str]:
    if service.get("read_only") is not True:
        yield "can write to its image"
    if service.get("init") is not True:
        yield "has nobody who reaps its children"


def _own_user(name: str, service: Json) -> Iterator[str]:
    if str(service.get("user", "")).split(":")[0] != OUR_USER and name not in ROOT_FOR_A_MOMENT:
        yield f"does not run as {OUR_USER}"


def _root_is_cut_off(name: str, service: Json) -> Iterator[str]:
    if name in ROOT_FOR_A_MOMENT and service.get("network_mode") != "none":
        yield "runs as root and has a network"


def _root_does_not_stay(name: str, _service: Json) -> Iterator[str]:
    if name in ROOT_FOR_A_MOMENT:
        yield "runs as root and does not end"


def _health(_name: str, service: Json) -> Iterator[str]:
    check = service.get("healthcheck", {})
    if not check.get("test") or check.get("disable"):
        yield "has no health check"
    elif not check.get("start_period"):
        yield "is called unhealthy while it starts: its health check has no start_period"
    if service.get("restart") not in {"unless-stopped", "always"}:
        yield "does not come back after a crash"
    if not service.get("stop_grace_period"):
        yield "has ten seconds to end, whatever it needs: no stop_grace_period"


EVERY_SERVICE: tuple[Rule, ...] = (_limits, _powers, _image, _ports, _secrets)
OWN_SERVICE: tuple[Rule, ...] = (_own_root, _own_user, _root_is_cut_off)
LONG_RUNNING: tuple[Rule, ...] = (_health,)
LONG_RUNNING_AND_OURS: tuple[Rule, ...] = (_root_does_not_stay,)
