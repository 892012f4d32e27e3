"""The `.defaults.json` of a folder: what holds for the files in it that say nothing else themselves."""

import os
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

from file_watcher.meta import read_settled
from tillstream.clock import Clock
from tillstream.contracts.file_meta import DEFAULTS_NAME, FileMeta, FolderDefaults, as_of_file, read_defaults
from tillstream.contracts.rules import Rules
from tillstream.errors import FileRefused, Retryable


class BrokenDefaults(Retryable):
    """They cannot be read, or are wrong: nobody knows what holds for the files of the folder, and these wait."""

    dependency: ClassVar[str] = "folders"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(problem)
        self.path = path


class Defaults:
    """Read anew for every file that needs them, so that whoever changes them need not tell anybody."""

    def __init__(self, clock: Clock, shop_timezone: ZoneInfo) -> None:
        self._clock = clock
        self._shop_timezone = shop_timezone

    def fill_in(self, path: Path, facts: os.stat_result, meta: FileMeta) -> FileMeta:
        """What is said of the file at `path`, and the rest by the defaults of its folder; not those of the folder above.

        Raises BrokenDefaults; Unsettled while they are being written; FileRefused where they leave the file without a
        moment: it must not get a wrong one, since an older file would then overwrite what a newer one said.
        """
        if meta.as_of is not None and meta.encoding is not None:
            return meta
        rules = Rules(self._clock.now(), self._shop_timezone)
        defaults = self._read(path.with_name(DEFAULTS_NAME), rules)
        as_of = meta.as_of
        if as_of is None and defaults.as_of is not None:
            found = as_of_file(defaults.as_of, path.name, facts.st_mtime_ns, rules)
            if isinstance(found, str):
                raise FileRefused(f"by the {DEFAULTS_NAME} of its folder it has no as_of: it {found}")
            as_of = found
        return replace(meta, as_of=as_of, encoding=meta.encoding or defaults.encoding)

    def _read(self, path: Path, rules: Rules) -> FolderDefaults:
        try:
            defaults = read_defaults(read_settled(path, self._clock), rules)
        except FileNotFoundError:
            return FolderDefaults()
        except (FileRefused, PermissionError, IsADirectoryError) as error:
            raise BrokenDefaults(path, str(error)) from error
        if isinstance(defaults, str):
            raise BrokenDefaults(path, defaults)
        return defaults
