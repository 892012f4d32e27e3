"""Which faults have happened, and which could not be made."""

from collections import Counter
from dataclasses import dataclass, field

from faults.holding import pause
from faults.kinds import Fault, NotMade
from faults.system import System


@dataclass(slots=True)
class Tally:
    """Counts by the faults' names; `not_made` are sentences."""

    made: Counter[str] = field(default_factory=Counter)
    not_made: list[str] = field(default_factory=list)

    async def suffer(self, fault: Fault, system: System) -> None:
        """Inject it, let it last, heal it, and count it once all of that is done. Raises AssertionError where it does not heal."""
        try:
            try:
                await _inject(fault, system)
            finally:
                await fault.heal(system)
        except NotMade as error:
            self.not_made.append(f"{fault.name}: {error}")
        else:
            self.made[fault.name] += 1


async def _inject(fault: Fault, system: System) -> None:
    try:
        await fault.inject(system)
    except AssertionError as error:  # also what it waited for in vain
        raise NotMade(str(error)) from error
    await pause(fault.hold_s)  # a fault is as long as it is
