"""A file job as it is sent, whoever sends it: file-watcher, again and again, or the upload door, once and at once."""

from uuid import UUID

from tillstream.contracts.entities import FILES_TOPIC
from tillstream.contracts.files import job_key
from tillstream.kafka.records import Outgoing

_HEADERS = (("content-type", b"application/json"),)


def job_record(job_id: UUID, value: bytes) -> Outgoing:
    """`value` is the job as its file in `work/` has it."""
    return Outgoing(FILES_TOPIC, job_key(job_id), value, _HEADERS)
