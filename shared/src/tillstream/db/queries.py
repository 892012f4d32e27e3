"""Named statements out of `.sql` files.

A file holds statements, each after a line `-- name: <name>` and a comment line that says what it does.
"""

import re
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load(package: str, file_name: str) -> dict[str, LiteralString]:
    """The statements of a file that ships inside `package`, by name.

    Raises ValueError for a file without names or with one twice. The text is ours, never input, hence LiteralString.
    """
    parts = _NAME.split(files(package).joinpath(file_name).read_text(encoding="utf-8"))
    names = parts[1::2]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"{package}/{file_name}: statements need distinct names")
    statements = {name: body.strip().rstrip(";") for name, body in zip(names, parts[2::2], strict=True)}
    return cast("dict[str, LiteralString]", statements)
