"""Loads dropped files: one job after the other, or several at once, chunk by chunk, from the claim in `work/` to its statement.

`python -m etl_worker.file_loader` runs it, as a process of its own, so that a file of gigabytes delays no event.

What was decided, and what a partner or an operator may count on:

- **Order.** The oldest queued job waits `TILLSTREAM_FILE_SETTLE_S` for siblings; then jobs run in the order users, products,
  orders, order items, events, others, and within a kind in the order of their claims. A child that runs first all the
  same is parked.
- **Several at once** (`TILLSTREAM_FILE_PARALLEL`): a child still waits for queued and running files of its parents' kinds, and files
  of one source and kind follow each other. The runners of a process take turns at the queue, and take over what a former process
  left by one list that was made before the first of them took anything: else they would end each other's sessions.
- **What a file is.** A name that ends in `.txt` is text. Otherwise the header decides. A `.csv` or `.tsv` without a known header
  fails with what was found and expected; a file of any other name is then text, too.
- **Text** is archived: hashed, its lines counted as `rows` and as `loaded` (so that the statement adds up), moved to
  `processed/`.
- **Packed.** A gzip file is read as what it holds; places in it count in bytes of that. It is read through once before its first
  row is loaded, so that one that is cut off, damaged or larger than its bounds loads nothing. A resumption unpacks it up to its
  place. Archives (zip, tar, 7z, rar) and other packings (xz, zstd, bzip2, lz4) fail with a sentence, whatever their name but `.txt`.
- **Duplicate** is said only when the newest ended job of that source and kind was loaded whole (settled, no rejects) from the
  very same bytes. A failed job that came later counts as newer: it may have written some of its rows. The same bytes with a later
  `as_of` are no duplicate: they say that the rows still hold then.
- **Crashes.** A chunk is one transaction that also moves (lease_epoch, next_byte). At the end come the rejects file, the
  statement, the move; each may be repeated, and a start repeats what is missing. A file is hashed again on every attempt and
  must be the same; any write, rename or new link under way ends the job as `file_changed`, after the chunks before.
- **Rejects** files hold what was refused until the end of the load. Rows that waited in vain become rejects later: once the job is
  settled, its file is written anew with what is open then. The sweep counts in the job's row that there are some, and the
  loader notes after the writing how far it counted, so that no crash loses them. A version that was edited in its place is kept beside. A row dropped back must have the message id and version of a row that
  was refused before. An event keeps the id that its own cells give it, so that a later export of the same row doubles nothing.
  A row that comes again as it was refused is refused again: it is in the newest file's rejects, and open, even if somebody had
  corrected it in between; corrected once more it is a `duplicate`.
- **Corrections** are linked to the jobs whose rejects they bring again, in the transaction of the rows: of each row to the job in
  which it is open, else to that of its newest entry. A row that is refused once more is a reject of its new job after that.
- **Old files** go only where a setting says so; see `retention`.
- **Elapsed** seconds are those of work: hashing, chunks, finishing; not those in the queue or between two processes.
"""
