"""Every bound of the store, with its unit and the reason for the number. Nothing else in the package hides a limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

# Names. The byte limits keep every key far below Postgres' 2.7 kB btree limit and fit any URL.
NAME_MAX_BYTES: Final = 255
NAME_MAX_SEGMENTS: Final = 8
SEGMENT_MAX_CHARS: Final = 63
TENANT_MAX_CHARS: Final = 128
TENANTS_REMEMBERED: Final = (
    10_000  # of whose isolation domain one open store knows, some 200 bytes each; then it forgets
)
VERSION_MAX: Final = 2**31 - 1  # a Postgres integer
DIGEST_PREFIX_MIN_HEX: Final = 12  # 48 bits: by chance, two of ten million digests share them once in five stores

# Descriptive values. Generous for people, small enough that a page of versions stays below a megabyte.
TITLE_MAX_CHARS: Final = 500
LABELS_MAX: Final = 64
LABEL_KEY_MAX_CHARS: Final = 63
LABEL_VALUE_MAX_CHARS: Final = 1_000
MEDIA_TYPE_MAX_CHARS: Final = 127
IDEMPOTENCY_KEY_MAX_CHARS: Final = 255
METADATA_MAX_BYTES: Final = 32 * 2**10  # of the JSON; each key and value of it is an entry of an index
SOURCES_MAX: Final = 1_000  # of one version; an execution that reads more is told by what it made of them
ACTOR_MAX_CHARS: Final = 255
REASON_MAX_CHARS: Final = 1_000

# Content.
COMPONENTS_MAX: Final = 256  # one commit call locks and names each of them
BLOB_MAX_BYTES: Final = 5 * 2**40  # the largest object Google Cloud Storage takes
JSON_MAX_DEPTH: Final = 200  # levels; Python's own encoder and decoder give up near 1,000 less the caller's stack

# Pictures. What is inside them is looked at in memory, by one thread, and must be over in about a second.
PICTURE_DECODED_BYTES_MAX: Final = 2**27  # as RGBA: 33 million pixels of 8 bits, an 8K screen; half as many of 16 bits
PICTURE_SIDE_MAX: Final = 2**16 - 1  # pixels, as in JPEG; a row of these is at most half a megabyte
PICTURE_CHUNKS_MAX: Final = 2**16  # a picture of the largest size in libpng's chunks of 8 KiB has 16,384
PICTURE_NOTES_MAX: Final = 20  # about one file; people read no more
PICTURES_REMEMBERED: Final = 1_000  # what was found in them, by their digest: some 200 bytes each
CHECKED_MAX_BYTES: Final = 32 * 2**20  # of a component a kind reads whole; parsed JSON can take twenty times that
DOCUMENT_MAX_BYTES: Final = 32 * 2**20  # of a document that is moved in: it is parsed twice, and as large as the above
MOVED_MAX_BYTES: Final = (
    128 * 2**20
)  # of one with its pictures: all of it is in memory, and half as much again as base64
FAULTS_MAX: Final = 100  # told of one refused put; the rest are counted
NPY_HEADER_MAX_BYTES: Final = 10_000  # what NumPy itself reads of a header it does not trust

# Comparing. Both contents are in memory, parsed, and looked at by one thread.
COMPARED_MAX_BYTES: Final = 32 * 2**20  # of a content that is compared; parsed JSON can take twenty times that
MEANING_MAX_BYTES: Final = (
    2**19
)  # of a content whose meaning a put tells: JSON takes a thread 60 ms, BPMN up to half a second; a larger one has none
BPMN_MAX_BYTES: Final = 8 * 2**20  # of a process model; those of real tools have up to half a megabyte
BPMN_ELEMENTS_MAX: Final = (
    20_000  # XML elements and attributes of one: eight times the largest known, some two seconds of work
)
BPMN_MAX_DEPTH: Final = 200  # levels of XML, as of JSON
BPMN_SEARCH_MAX: Final = 4_000  # elements without their ids that are looked for in the other model; more are called new
BPMN_NAME_MAX_CHARS: Final = 1_000  # of an XML name or namespace, which is copied wherever it is used
CHANGES_MAX: Final = 10_000  # told of one comparison, some 3 MB; the rest are counted
COMPARED_LINES_MAX: Final = 50_000  # between what is equal at both ends: each takes up to 20 µs and 500 bytes
COMPARED_SECTIONS_LINES: Final = 20_000  # of a document whose sections are told; a longer one is compared as plain text
COMPARED_WORDS_CHARS: Final = 2**19  # of a run of changed lines that is compared word by word, some 200,000 words
COMPARED_PIXELS_MAX: Final = (
    5 * 2**20
)  # of a picture that is compared, as 2,880 x 1,800; a second, and some 20 bytes each meanwhile
SHOWN_SIDE_MAX: Final = 4_096  # pixels of a picture of a change; larger ones are scaled
COMPARED_ARRAY_BYTES: Final = 2**27  # of an array that is compared; it is looked at where it is
COMPARED_NUMBERS: Final = 2**19  # compared at a time, in some 40 MB
ALIGNMENT_STEPS: Final = 600_000  # of one comparison, some 0.4 s; then what is left is told as replaced
ALIGNMENT_EDITS: Final = 1_000  # of a shortest script: looking for it takes their square in time and memory, here 20 MB
ALIGNMENT_BITS: Final = 2**27  # of two sequences, the product of their sizes that is looked at bit by bit: 16 MiB
SHOWN_CHARS: Final = 1_000  # of a line in a change; people read no longer ones
JSON_GAP_PAIRS_MAX: Final = 400  # of unmatched list items in one gap, compared each with each: 20 times 20 take 0.2 ms
JSON_TELLING_KEYS_MAX: Final = 20  # of an item, tried whether they tell it from others: each takes a pass over the list
JSON_MOVES_MAX: Final = 1_000  # in one list, as moves of a patch: each takes a pass over the list
JSON_TEXT_SHOWN_CHARS: Final = 60  # of a value in a sentence

# Memory: a stream holds at most a few chunks, whatever its length.
CHUNK_BYTES: Final = 2**20  # a piece handed between threads: long enough that the hop (0.1 ms) is small beside it
HASH_BYTES: Final = 2**18  # a piece read and hashed in one thread: stays in the processor's second-level cache
INLINE_BYTES: Final = 64 * 2**10  # hashed or read on the event loop: under 30 µs, a third of a thread hop
GCS_REQUEST_BYTES: Final = 8 * 2**20  # sent in one request; a longer blob in pieces of this size, each held in memory
SPOOL_BYTES: Final = 8 * 2**20  # a source that cannot be read twice is kept in memory up to here, then in a temp file

# Concurrency.
UPLOADS_AT_ONCE: Final = 8  # of one put; each holds one chunk and one thread
BLOB_THREADS: Final = 16  # of one store: fsyncs wait in parallel, so more than there are cores
IMPORTS_AT_ONCE_MAX: Final = 64  # names imported in parallel; beyond the connections and threads above more only wait
IMPORT_PROCESSES_MAX: Final = 16  # of one import; each has the connections below, and the embedded server takes 300
GCS_THREADS: Final = 32  # of one store on a bucket: a request waits 20 ms or more, so 8 threads would leave a core idle
CATALOG_CONNECTIONS: Final = 8  # of one process; a small Supabase project has 60 in all
EMBEDDED_CONNECTIONS: Final = 16  # of one process; the server is ours, and commits that wait together sync together

CALL_PATIENCE: Final = timedelta(
    seconds=1
)  # after so long a coalesced call waits for somebody's lock: the next goes beside it
QUESTIONS_A_CALL: Final = 64  # of a coalesced call: its locks are held for about 0.1 ms a question
# Calls of a tenant that look versions up, under way before reads share one: over a network waiting costs more than calls do. Of the
# embedded server there is one.
READS_AT_ONCE: Final = 4

# Direct transfer.
DIRECT_UPLOAD: Final = timedelta(hours=1)  # from the offer to the end of an upload: 5 GiB at 12 Mbit/s
DIRECT_KEPT: Final = timedelta(
    days=1
)  # from the offer on: a put of what was uploaded can be repeated as long, then a collector takes it
DIRECT_LINK: Final = timedelta(minutes=5)  # until a download has begun; what is erased meanwhile can still be read

# The journal.
SEGMENT_BYTES: Final = 2**20  # a segment ends with the record that reaches it; some thousand versions
RECORDS_AT_ONCE: Final = 200  # read in one round trip; the longest record has half a megabyte, most have one kilobyte
JOURNAL_FAULTS_MAX: Final = 1_000  # told of one verification; the rest are counted

# Events.
EVENTS_FIRST_PAUSE: Final = timedelta(
    milliseconds=50
)  # of a follower, after there was something; then twice that, up to
EVENTS_LONGEST_PAUSE: Final = timedelta(seconds=1)  # this: a thousand followers then ask a thousand times a second
EVENTS_PATIENCE: Final = timedelta(
    seconds=2
)  # of one question, with writers that have not ended; then it is asked again

# Webhooks.
WEBHOOKS_MAX: Final = 50  # of one tenant: each is a request for each event
WEBHOOK_URL_MAX_CHARS: Final = 2_000  # what servers and proxies take; as the table has it
WEBHOOKS_AT_ONCE: Final = 4  # delivered by one worker, each in its own order; each may hold a thread
WEBHOOK_BATCH: Final = 100  # events read in one call, some 50 KB
WEBHOOK_TIMEOUT: Final = timedelta(
    seconds=15
)  # for the name, for the connection, and for the answer; the standard asks for 15 to 30
WEBHOOK_LEASE: Final = timedelta(seconds=60)  # from one event to the next; longer than these three together
WEBHOOK_ANSWER_BYTES: Final = 2**14  # read of an answer, and thrown away
WEBHOOK_FIRST_PAUSE: Final = timedelta(seconds=5)  # after a failure; then twice that, and so on,
WEBHOOK_LONGEST_PAUSE: Final = timedelta(hours=1)  # up to this: who is back after a night is found within an hour
WEBHOOK_PATIENCE: Final = timedelta(days=3)  # of failing without a break, then it is disabled: longer than a weekend
WEBHOOK_TOLERANCE: Final = timedelta(minutes=5)  # of a signature's age, as the standard's own libraries have it

# Lineage.
LINEAGE_DEPTH_MAX: Final = 1_000  # steps from a version; a chain of daily reports takes three years to get there
LINEAGE_VERSIONS_MAX: Final = 10_000  # in one answer, some 5 MB

# Time.
LEASE: Final = timedelta(hours=1)  # how long a put may take between reserving a blob and committing it
CONNECT_TIMEOUT: Final = timedelta(seconds=10)  # for a connection from the pool, reconnecting included
STATEMENT_TIMEOUT: Final = timedelta(seconds=30)  # of the catalog; the slowest that are well take a second or two
SETTLE_TIMEOUT: Final = timedelta(
    seconds=60
)  # for writers to end whose place in the log is taken; they take milliseconds
CANCEL_TIMEOUT: Final = timedelta(seconds=5)  # from asking the server to cancel a statement to cutting the line
CALL_TIMEOUT: Final = timedelta(seconds=60)  # no attempt at a call begins later: one more after one without an answer
KEEPALIVE: Final = timedelta(seconds=30)  # of a silent line; address translators forget it after minutes
ACKNOWLEDGE_TIMEOUT: Final = timedelta(seconds=15)  # for what was sent to arrive; a host that moves pauses for a few
GCS_CONNECT: Final = timedelta(seconds=5)  # for a connection to Google Cloud Storage
GCS_SILENCE: Final = timedelta(seconds=60)  # for its next byte: a large object is committed in seconds, not minutes
GCS_SLOWEST_BYTES: Final = 2**17  # a second; a body that leaves more slowly is given up, as one on a dead line is
GCS_DEADLINE: Final = timedelta(seconds=90)  # no request is repeated after it; most troubles pass in seconds
GCS_FIRST_PAUSE: Final = timedelta(seconds=0.5)  # at most, before the first repetition; then twice that, and so on,
GCS_LONGEST_PAUSE: Final = timedelta(seconds=16)  # up to this; Google asks for 30 to 60 s at most
WORKER_STOP_TIMEOUT: Final = timedelta(seconds=5)  # from asking a process of ours to end to killing it
STALE_TEMP: Final = timedelta(minutes=1)  # a temp file this old whose writer is dead is swept
CLOCK_SKEW_MAX: Final = timedelta(seconds=30)  # of the database's clock and ours; instants people type are rarely finer

# Space.
FREE_BYTES_MIN: Final = 2**30  # `doctor` warns below; Postgres alone writes up to 1 GiB of log between checkpoints

# Collecting.
QUARANTINE: Final = timedelta(
    days=7
)  # from condemned to deleted; not less than the age of the oldest backup to be restored
PURGE_BATCH: Final = 1_000  # versions purged in one call, when the trash is emptied: their artifacts are locked for it
RETENTION_PLAN: Final = 10_000  # versions to be dropped that are found in one look at all, 16 bytes each
RETENTION_BATCH: Final = 500  # versions dropped, or purged, in one call: their artifacts are locked for it
RETENTION_RULES_MAX: Final = 100  # of a policy; each version is compared with them in turn
EXPIRY_MIN: Final = datetime(1900, 1, 1, tzinfo=UTC)  # of a version that expires: dates that every time zone can say
EXPIRY_MAX: Final = datetime(9000, 1, 1, tzinfo=UTC)  # the first that is too late
PERIOD_MAX: Final = timedelta(days=36_525)  # of a rule or a time to live: a hundred years
COLLECT_CLAIM: Final = timedelta(
    minutes=15
)  # then a collector that claimed a blob is taken for dead; one delete takes seconds
COLLECT_STRETCH: Final = 10_000  # rows of the ledger in one look, some 0.1 s
COLLECT_BATCH: Final = 500  # blobs in one change of the ledger: puts of these wait for it, some 20 ms
COLLECT_AT_ONCE: Final = 16  # objects deleted in parallel
COLLECT_RATE: Final = 500.0  # objects deleted a second; Google asks for a slow start above 1,000 writes a second
ERASE_BATCH: Final = 500  # rows of one table, and of the log, erased in one transaction, some 50 ms
COLLECT_FAILURES_MAX: Final = 100  # told of one collection; the rest are counted

# Screens.
BLOCKERS_SHOWN: Final = 10  # of what is in the way, in a message or on a screen; the value has more
PROGRESS_BYTES: Final = 64 * 2**20  # a put or get of more shows that it is at work: below, a disk needs under a second

# Checking.
CHECK_PAGE: Final = (
    20_000  # objects, and rows of the ledger, compared at a time, some 8 MB; a folder is listed anew for each page
)
CHECK_VERSIONS: Final = 500  # whose manifests are hashed at a time, on the event loop: some 10 ms
CHECK_ARTIFACTS: Final = 1_000  # whose laws are checked in one statement
CHECK_LOG_ARTIFACTS: Final = 50_000  # compared with the log in one statement, which reads all of it
CHECK_AT_ONCE: Final = 16  # suspects looked at again
CHECK_LOOKS: Final = 3  # at a suspect that changes while it is looked at; then somebody is at work on it
CHECK_USES: Final = 10  # of a damaged blob, told by name; the others are counted
LEFTOVER: Final = timedelta(
    days=1
)  # then an upload or delete that never ended is told: by then a daily collector has been there
SCRUB_CYCLE: Final = timedelta(days=30)  # in which every blob is to be read
SCRUB_PAGE: Final = 1_000  # blobs; what is read twice after an interruption
SCRUB_AT_ONCE: Final = 8  # blobs being read; each holds one chunk

# Retries.
COMMIT_ROUNDS: Final = 8  # uploads a put does again because a collector took its blob back
GCS_UPLOAD_ROUNDS: Final = 4  # uploads begun anew: altered on the way, session lost, or overtaken by a delete
CATALOG_ATTEMPTS: Final = 4  # of one call, when the connection breaks or Postgres chose it as a deadlock's victim

# Pages.
PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 1_000

# Pages for people.
PAGE_CONTENT_BYTES: Final = 2**19  # of the texts, trees and processes on one page; people read no more
PAGE_MARKDOWN_BYTES: Final = 2**17  # of these, as Markdown: the most hostile takes 30 microseconds a byte
PAGE_PICTURE_BYTES: Final = 16 * 2**20  # of a picture that is shown
PAGE_TILE_BYTES: Final = 2**20  # of a picture in the library, where two dozen of them are on one page
PAGE_TREE_NODES: Final = 5_000  # of a JSON tree, half a megabyte of HTML
PAGE_COMPONENTS: Final = 12  # of a version that are shown; the others can be fetched

# Serving.
HTTP_JSON_BYTES: Final = 32 * 2**20  # of a request that is parsed as JSON, which can take twenty times that
HTTP_SMALL_BYTES: Final = 2**20  # of any other request: these are parsed before a token is looked at
HTTP_BODY_BYTES: Final = 5 * 2**30  # of content, which is on the server's disk before it is stored; above, raise it
HTTP_AT_ONCE: Final = 512  # requests; each has a few chunks in memory, and most wait for one of the connections above
HTTP_AT_ONCE_OF_ONE: Final = 128  # of one caller: the others still get an answer
HTTP_SILENCE: Final = timedelta(
    seconds=60
)  # without a byte from the client or for it; no call of the store takes longer
HTTP_STEPS_MAX: Final = 1_000  # of one transaction; an execution stores a dozen results
JWKS_FRESH: Final = timedelta(
    minutes=10
)  # public keys of tokens are not fetched again; a key struck out is good so long
JWKS_STALE: Final = timedelta(hours=1)  # they are still believed when they cannot be fetched
JWKS_PAUSE: Final = timedelta(seconds=30)  # between two fetches: strangers' tokens cause no more
JWKS_TIMEOUT: Final = timedelta(seconds=5)
JWKS_BYTES: Final = 2**18  # of a set of keys; real ones have a few kilobytes

# Being a client of a server.
CLIENT_TIME_LIMIT: Final = timedelta(seconds=30)  # of silence; what a busy server takes for its slowest answers
CLIENT_BYTES_S: Final = 2**20  # a line as slow as that is given the time it needs to bring content
CLIENT_ATTEMPTS: Final = 5  # of one request, over about 5 s: a server that is started again is back by then
CLIENT_FIRST_PAUSE_S: Final = 0.4  # doubled each time, and shortened by chance, so that many do not come at once
CLIENT_PAUSE_MAX_S: Final = 30  # who is told to wait longer hears of it instead
CLIENT_ANSWER_BYTES: Final = 256 * 2**20  # of an answer that is no content; a page of 1,000 versions has up to 70 MiB
CLIENT_DIRECT_BYTES: Final = 32 * 2**20  # content as long goes straight to the bucket, for one question more
CLIENT_INLINE_BYTES: Final = 16 * 2**20  # of small contents inside the JSON of a transaction: half of what may be
