"""Planted bugs of an ingest-api that takes files. What has no port is patched in this process alone."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from itertools import count
from unittest import mock
from uuid import UUID

from ingest_api import take_upload
from ingest_api.upload_folder import NewFile
from tillstream.contracts.files import FileJob
from tillstream.contracts.ids import new_id

type Bug = Callable[[ExitStack], object]

A_JOB_PER_REQUEST = "a job per request"
ANSWERS_BEFORE_THE_CLAIM = "202 before the claim"
LOSES_EVERY = 3


def makes_a_job_per_request(planted: ExitStack) -> None:
    """The key is not looked at: what is sent again is loaded again."""

    def another(_upload: take_upload.Upload) -> UUID:
        return new_id()

    planted.enter_context(mock.patch.object(take_upload, "_job_id", another))


def answers_before_the_claim(planted: ExitStack) -> None:
    """Now and then it answers, and tells the broker, though the file is not where it stays; then it removes it."""
    finish, number = NewFile.finish, count(1)

    def forgetful(file: NewFile, job: FileJob) -> None:
        if next(number) % LOSES_EVERY:
            finish(file, job)

    planted.enter_context(mock.patch.object(NewFile, "finish", forgetful))


BUGS: Mapping[str, Bug] = {
    A_JOB_PER_REQUEST: makes_a_job_per_request,
    ANSWERS_BEFORE_THE_CLAIM: answers_before_the_claim,
}
