"""`python -m tillstream_native COMMAND`; one sentence on stderr when it cannot be done."""

import sys

from tillstream_native.commands import parser
from tillstream_native.system import CannotRun


def main() -> int:
    arguments = parser().parse_args()
    try:
        arguments.run(arguments)
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
