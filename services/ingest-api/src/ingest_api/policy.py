"""The bounds of the door, in one frozen place; tests make smaller ones."""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """Reading and publishing together take less than the 20 s within which a stopping process must end."""

    max_body_bytes: int = 8 * MEBIBYTE
    max_items: int = 10_000
    read_s: float = 8.0
    publish_s: float = 5.0
    # Bodies of all requests together, from their first byte to the answer; records made of them take as much again.
    max_bytes_in_hand: int = 64 * MEBIBYTE
    # So many records at the broker at once are pressure; the producer refuses twice as many.
    pressed_records: int = 50_000
    max_keys_remembered: int = 50_000
    # Between two slices of a large batch other requests, acknowledgements and health checks get their turn.
    slice_items: int = 250
    max_echo_bytes: int = 512
    reconnect_s: float = 1.0


@dataclass(frozen=True, slots=True)
class UploadPolicy:
    """Of files that are sent: how many at once, what each holds in memory, and how slowly it may come."""

    max_uploads: int = 8
    piece_bytes: int = MEBIBYTE
    pause_s: float = 10.0
    bytes_per_s: float = 16 * 1024
    sweep_s: float = 60.0


@dataclass(frozen=True, slots=True)
class DryRunPolicy:
    """Of files that are only examined. An examination has a processor core to itself for as long as it takes.

    `report_s`: then it says what it has found, before proxies give up, most of which wait for a minute.
    """

    max_dry_runs: int = 2
    report_s: float = 45.0
    # Over that, to start and to write the answer; it has no more blocks to read by then.
    grace_s: float = 10.0
    retry_after_s: int = 10


DEFAULT_POLICY = IngestPolicy()
DEFAULT_UPLOAD_POLICY = UploadPolicy()
DEFAULT_DRY_RUN_POLICY = DryRunPolicy()
