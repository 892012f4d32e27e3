"""The error tree of Tillstream.

TillstreamError
├── Retryable               wait and try again; nothing was decided
│   ├── DatabaseUnavailable
│   │   └── TransactionTimedOut  PostgreSQL ended it for the time that it took; less at once may go through
│   ├── BrokerUnavailable
│   │   └── ProducerFull      too much waits for the broker already; nothing of this was sent
│   ├── DoorUnavailable       ingest-api did not answer a client of ours
│   ├── TransactionConflict   deadlock or serialisation failure: run the batch again
│   └── OwnershipLost         another process has taken the partition or the job over
├── Rejected                the record or request can never succeed; keep it, answer it
│   ├── MalformedJson
│   ├── ContractViolation
│   ├── RecordTooLarge        Kafka takes no record of this size
│   └── FileRefused
├── LongWay                 rows of a file cannot be stored together; row by row they can be judged
├── TimeIsUp                nobody waits for the rest of a report; it says what was found by then
├── Stalled                 there is work and nothing moves; the process ends and is started again
├── Misconfigured           a person must change something; the process says what and ends
└── WrongOption             an option of a command breaks its rule; nothing was done

The class decides what the caller does. Anything outside this tree is a bug and ends the process.
"""

from typing import ClassVar


class TillstreamError(Exception):
    """The base of every error that Tillstream raises on purpose."""


class Retryable(TillstreamError):
    """The work may succeed later, unchanged. `dependency` is what it waits for: postgres, kafka or folders."""

    dependency: ClassVar[str] = "postgres"


class DatabaseUnavailable(Retryable):
    """PostgreSQL cannot be reached or does not accept work now."""


class TransactionTimedOut(DatabaseUnavailable):
    """PostgreSQL ended a statement or a transaction because it took too long. The same again may never be in time."""


class BrokerUnavailable(Retryable):
    """Kafka cannot be reached, or did not answer before the deadline; what was sent may or may not be stored."""

    dependency: ClassVar[str] = "kafka"


class ProducerFull(BrokerUnavailable):
    """The bound on records or bytes that wait for the broker is reached; nothing of the call was sent."""


class DoorUnavailable(Retryable):
    """ingest-api does not answer; what was posted may or may not be accepted."""


class TransactionConflict(Retryable):
    """PostgreSQL ended the transaction in favour of another one."""


class OwnershipLost(Retryable):
    """The fence moved: what this process held belongs to another one now."""


class Rejected(TillstreamError):
    """What was sent can never be accepted as it is."""


class MalformedJson(Rejected):
    """A body that is not JSON."""


class ContractViolation(Rejected):
    """A record that breaks a rule of its contract."""


class RecordTooLarge(Rejected):
    """A record that Kafka does not take for its size."""


class FileRefused(Rejected):
    """A file that cannot be loaded as a whole; the text says why in a sentence."""


class LongWay(TillstreamError):
    """Not all plain rows of a chunk can be stored set-wise. Roll back, and give all to the engine."""


class TimeIsUp(TillstreamError):
    """The time for a report is over; what was found by then is told."""


class Stalled(TillstreamError):
    """There is work, nothing says why it is not done, and it is not: only a new process can be trusted to go on."""


class Misconfigured(TillstreamError):
    """A setting, an identity or a schema does not fit; only a person can decide what to do."""


class WrongOption(TillstreamError):
    """What a person gave to a command breaks a rule; the text names the option and the rule."""
