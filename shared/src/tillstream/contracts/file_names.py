"""The rule for the name of a file. It is joined to a folder and shown to people, so it must neither lead out nor mislead."""

MAX_NAME_BYTES = 200
# A file system takes 255 bytes: 38 go to the job id and its joint, and 12 to the longest suffix stay.
MAX_STORED_NAME_BYTES = MAX_NAME_BYTES + 38
UNFINISHED_PREFIX = "."
UNFINISHED_SUFFIXES = (".tmp", ".part")
_SEPARATORS = "/\\"
_OWN_FOLDER_OR_ABOVE = frozenset({".", ".."})


def name_problem(name: str, max_bytes: int = MAX_NAME_BYTES) -> str | None:
    """Why a file name is not taken, or None where it is. Whatever is taken also keeps the rule for texts."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if not size:
        return "its name is empty"
    if size > max_bytes:
        return f"its name has {size} bytes, more than {max_bytes}"
    if name in _OWN_FOLDER_OR_ABOVE or any(each in name for each in _SEPARATORS):
        return "its name is, or has in it, part of a path"
    if not name.isprintable():
        return "its name has a control character or another one that cannot be printed"
    return None


def is_unfinished(name: str) -> bool:
    """Whether this is the name of a file that is still being written: it gets another one, by a rename, when it is whole."""
    return name.startswith(UNFINISHED_PREFIX) or name.lower().endswith(UNFINISHED_SUFFIXES)


def harmless(name: str) -> str:
    """The name with everything replaced that makes it unfit; for a file that is put away under a prefix of ours."""
    fit = "".join(each if each.isprintable() and each not in _SEPARATORS else "_" for each in name)
    return fit.encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore")
