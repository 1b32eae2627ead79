"""The command line: one group of commands, one place where errors become exit codes.

====  =============================================
0     done
1     failed
2     wrong use, or wrong configuration
3     timed out
4     differences found
====  =============================================
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..errors import ReplicatorError
from .commands import Commands
from .common import print_error

__all__ = ["cli", "main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="replicator")
def cli() -> None:
    """Keeps a MySQL or MariaDB database in one datacenter in step with one in another."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. The entry point of `replicator`."""
    try:
        code = cli.main(args=list(argv) if argv is not None else None, prog_name="replicator", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except click.Abort:
        return 1
    except ReplicatorError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 1
    return code if isinstance(code, int) else 0
