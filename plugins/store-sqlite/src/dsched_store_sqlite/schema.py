"""The tables and indexes, and what marks a file as a store of ours.

Every page that a step reads is a range of one index: partial indexes hold only the tasks of one
home, so a tick costs what is due and not what exists.
"""

from dsched.contracts.store.formats import STORE_FORMAT

# "dSch": tells our files from other programs' (PRAGMA application_id).
APPLICATION_ID = 0x64536368
FORMAT = STORE_FORMAT
# PRAGMA takes no parameters; these two are built from constants once.
SET_APPLICATION_ID = f"PRAGMA application_id = {APPLICATION_ID:d}"
SET_FORMAT = f"PRAGMA user_version = {FORMAT:d}"
GET_FORMAT = "PRAGMA user_version"

# Durations and instants are in ms. `at_ms` is when a delay ends, when a task was queued, or when
# its lease ends; `place` orders a worker's queue. `rank` is 9 - priority, so that it ascends.
_TABLES = """
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    offset_ms INTEGER NOT NULL DEFAULT 0,
    mark_ms INTEGER NOT NULL DEFAULT 0,
    clock_gen INTEGER NOT NULL DEFAULT 0,
    fence TEXT,
    lock_until_ms INTEGER DEFAULT 0,
    epoch INTEGER NOT NULL DEFAULT 0,
    rest_pod TEXT,
    rest_until_ms INTEGER NOT NULL DEFAULT 0,
    leaderless INTEGER NOT NULL DEFAULT 0,
    last_revision INTEGER NOT NULL DEFAULT 0,
    last_cursor INTEGER NOT NULL DEFAULT 0,
    collected TEXT NOT NULL DEFAULT '0000000000000000',
    log_size INTEGER NOT NULL DEFAULT 0,
    last_place INTEGER NOT NULL DEFAULT 0,
    last_ring INTEGER NOT NULL DEFAULT 0,
    configs INTEGER NOT NULL DEFAULT 0,
    in_delayed INTEGER NOT NULL DEFAULT 0,
    in_ready INTEGER NOT NULL DEFAULT 0,
    in_queue INTEGER NOT NULL DEFAULT 0,
    in_held INTEGER NOT NULL DEFAULT 0,
    in_lease INTEGER NOT NULL DEFAULT 0,
    retrying INTEGER NOT NULL DEFAULT 0,
    ended_success INTEGER NOT NULL DEFAULT 0,
    ended_failed INTEGER NOT NULL DEFAULT 0,
    ended_cancelled INTEGER NOT NULL DEFAULT 0,
    kept_success INTEGER NOT NULL DEFAULT 0,
    kept_failed INTEGER NOT NULL DEFAULT 0,
    kept_cancelled INTEGER NOT NULL DEFAULT 0
);
INSERT INTO meta (one) VALUES (1);

CREATE TABLE task (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    status TEXT NOT NULL,
    home TEXT,
    at_ms INTEGER NOT NULL DEFAULT 0,
    place INTEGER NOT NULL DEFAULT 0,
    worker_id TEXT,
    token TEXT,
    completed INTEGER NOT NULL DEFAULT 0,
    scheduled_ms INTEGER NOT NULL,
    start_ms INTEGER,
    end_ms INTEGER,
    attempt INTEGER NOT NULL DEFAULT 0,
    retry_count INTEGER NOT NULL DEFAULT 0,
    crash_count INTEGER NOT NULL DEFAULT 0,
    rank INTEGER NOT NULL,
    deadline_ms INTEGER,
    needs TEXT,
    reason TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    cancel_reason TEXT NOT NULL DEFAULT '',
    progress TEXT,
    live_of TEXT
);
CREATE INDEX task_delayed ON task (at_ms, id) WHERE home = 'delayed';
CREATE INDEX task_queue ON task (worker_id, place) WHERE home = 'queue';
CREATE INDEX task_queue_age ON task (at_ms, id) WHERE home = 'queue';
CREATE INDEX task_lease ON task (at_ms, id) WHERE home = 'lease';
CREATE INDEX task_lease_id ON task (id, worker_id) WHERE home = 'lease';
CREATE INDEX task_held ON task (id) WHERE home = 'held';
CREATE INDEX task_live ON task (live_of, scheduled_ms, id) WHERE live_of IS NOT NULL;
CREATE INDEX task_ended ON task (status, end_ms, id) WHERE end_ms IS NOT NULL;

-- Apart from `task`, because each move of a task rewrites its row and these may be large.
CREATE TABLE body (seq INTEGER PRIMARY KEY, spec TEXT NOT NULL, result TEXT);

-- Lines of tasks, and what is known of each task's log; apart, as few tasks have many.
CREATE TABLE line (
    task INTEGER NOT NULL,
    n INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    level TEXT NOT NULL,
    size INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (task, n)
) WITHOUT ROWID;
CREATE TABLE linecount (
    task INTEGER PRIMARY KEY,
    attempt INTEGER NOT NULL,
    last INTEGER NOT NULL,
    count INTEGER NOT NULL,
    head_lines INTEGER NOT NULL,
    head_bytes INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    tail_lines INTEGER NOT NULL,
    tail_bytes INTEGER NOT NULL
);

CREATE TABLE config (
    id TEXT PRIMARY KEY,
    content TEXT NOT NULL,
    origin TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    due_ms INTEGER,
    last_fired_ms INTEGER,
    paused_who TEXT,
    paused_why TEXT,
    paused_since_ms INTEGER,
    paused_gap_ms INTEGER,
    skips TEXT
) WITHOUT ROWID;
CREATE INDEX config_due ON config (due_ms, id) WHERE due_ms IS NOT NULL;
CREATE INDEX config_origin ON config (origin, id);

-- The live tasks of a config, counted; it survives the config.
CREATE TABLE living (config_id TEXT PRIMARY KEY, live INTEGER NOT NULL, held TEXT) WITHOUT ROWID;

-- `draining`: 1 if an operator asked for it, 2 if the worker leaves by itself.
CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    incarnation TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    backlog INTEGER NOT NULL,
    heartbeat_timeout_ms INTEGER NOT NULL,
    labels TEXT NOT NULL,
    address TEXT NOT NULL,
    last_beat_ms INTEGER NOT NULL,
    draining INTEGER NOT NULL DEFAULT 0,
    stalled INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Terms of leadership; the oldest make room.
CREATE TABLE term (
    epoch INTEGER PRIMARY KEY,
    pod TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    how TEXT NOT NULL DEFAULT '',
    who TEXT NOT NULL DEFAULT '',
    why TEXT NOT NULL DEFAULT ''
);

-- Pods that say they run, each until an instant of store time.
CREATE TABLE pod (
    id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL, record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX pod_until ON pod (until_ms);

-- What a worker has, counted; also of one that is not registered any more.
CREATE TABLE load (
    worker_id TEXT PRIMARY KEY, running INTEGER NOT NULL, queued INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE lane (
    worker_id TEXT NOT NULL,
    lane INTEGER NOT NULL,
    number INTEGER NOT NULL,
    ids TEXT NOT NULL,
    PRIMARY KEY (worker_id, lane)
) WITHOUT ROWID;

CREATE TABLE event (
    cursor INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    author TEXT NOT NULL,
    items TEXT NOT NULL
);

CREATE TABLE decision (
    config_id TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    record TEXT NOT NULL,
    worker_id TEXT,
    worker_why TEXT,
    ended TEXT,
    missed_at_ms INTEGER,
    PRIMARY KEY (config_id, first_ms, verdict, reason)
) WITHOUT ROWID;
CREATE INDEX decision_age ON decision (at_ms);
CREATE INDEX decision_missed ON decision (config_id, first_ms) WHERE verdict = 'missed';
CREATE TABLE decided (config_id TEXT PRIMARY KEY, kept INTEGER NOT NULL) WITHOUT ROWID;

-- Statistics: one row a config (empty: everything) and hour, with its totals as JSON.
CREATE TABLE stat (
    config_id TEXT NOT NULL,
    hour_ms INTEGER NOT NULL,
    adds TEXT NOT NULL,
    tops TEXT NOT NULL,
    PRIMARY KEY (config_id, hour_ms)
) WITHOUT ROWID;
CREATE INDEX stat_age ON stat (hour_ms);

-- For which due of a config it was reported that nobody fired it.
CREATE TABLE missed (config_id TEXT PRIMARY KEY, due_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX missed_age ON missed (due_ms);

CREATE TABLE finished (
    task_id TEXT PRIMARY KEY,
    end_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    config_id TEXT
) WITHOUT ROWID;
CREATE INDEX finished_status ON finished (status, end_ms, task_id);
CREATE INDEX finished_config ON finished (config_id, end_ms, task_id)
    WHERE config_id IS NOT NULL;

CREATE TABLE document (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_ms INTEGER,
    text TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX document_expiry ON document (expires_ms) WHERE expires_ms IS NOT NULL;

-- How another process learns who was woken, and that it was not itself: `rung` only grows.
CREATE TABLE bell (
    who TEXT PRIMARY KEY, rung INTEGER NOT NULL, origin TEXT NOT NULL
) WITHOUT ROWID;
"""

# Later than the first files of this format: a file without these gets them when it is opened.
_ADDED = """
CREATE TABLE IF NOT EXISTS history (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    identity TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0
);

-- Breaks of the history, the newest few; `from_ms` is null where nothing of the past is left.
CREATE TABLE IF NOT EXISTS history_break (
    generation INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    from_ms INTEGER,
    loss TEXT NOT NULL,
    lost TEXT NOT NULL,
    author TEXT NOT NULL,
    why TEXT NOT NULL
);

-- Configs that a leader could not plan: looked at again at `until_ms`, and what they owe till then.
CREATE TABLE IF NOT EXISTS parked (
    config_id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- What is counted of configs that pause themselves: failures in a row, the last of them, and fires,
-- as JSON. Each config that asks for it has a row.
CREATE TABLE IF NOT EXISTS counted (config_id TEXT PRIMARY KEY, counts TEXT NOT NULL) WITHOUT ROWID;

-- The newest format that a pod knows; a pod without a row knows 3. Apart, since versions of then
-- write all columns of `pod`.
CREATE TABLE IF NOT EXISTS pod_format (
    id TEXT PRIMARY KEY, format INTEGER NOT NULL
) WITHOUT ROWID;

-- What workers can run, and who says what. An earlier build registers without it, so that it is of
-- this incarnation only.
CREATE TABLE IF NOT EXISTS ability (digest TEXT PRIMARY KEY, names TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS worker_ability (
    worker_id TEXT PRIMARY KEY, incarnation TEXT NOT NULL, digest TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS worker_ability_digest ON worker_ability (digest);

-- Classes of ready tasks that nobody can run now; how many wait under each. A task that does has
-- the class's number, negative, as its place. From format 4 on; before, no place is negative.
CREATE TABLE IF NOT EXISTS class (
    n INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    blocked TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    waiting INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS class_full ON class (n) WHERE blocked = 'full';
-- How many classes are shut, and how many tasks wait under those that nobody can run.
CREATE TABLE IF NOT EXISTS class_count (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    shut INTEGER NOT NULL DEFAULT 0,
    nobody INTEGER NOT NULL DEFAULT 0
);
INSERT OR IGNORE INTO class_count (one) VALUES (1);
CREATE TRIGGER IF NOT EXISTS class_shut AFTER INSERT ON class
    BEGIN UPDATE class_count SET shut = shut + 1; END;
CREATE TRIGGER IF NOT EXISTS class_opened AFTER DELETE ON class
    BEGIN UPDATE class_count SET shut = shut - 1,
        nobody = nobody - iif(OLD.blocked = 'nobody', OLD.waiting, 0); END;
CREATE TRIGGER IF NOT EXISTS class_changed AFTER UPDATE OF blocked, waiting ON class
    BEGIN UPDATE class_count SET nobody = nobody + iif(NEW.blocked = 'nobody', NEW.waiting, 0)
        - iif(OLD.blocked = 'nobody', OLD.waiting, 0); END;
CREATE INDEX IF NOT EXISTS task_open ON task ((place < 0), rank, scheduled_ms, id)
    WHERE home = 'ready';
CREATE INDEX IF NOT EXISTS task_waiting ON task (place, rank, scheduled_ms, id)
    WHERE home = 'ready' AND place < 0;
CREATE INDEX IF NOT EXISTS task_late ON task (scheduled_ms + deadline_ms, id)
    WHERE home = 'ready' AND place < 0 AND attempt = 0 AND deadline_ms IS NOT NULL;
-- Limits; and of each name that is in use how many tasks hold a place and how many wait. A task
-- that waits under a limit has its number (n, and 2^40), negative, as its place. `open`: from when,
-- in ms of the store's time, there may be room; 0: nobody knows. `max_running` is -1 where there is
-- none.
CREATE TABLE IF NOT EXISTS limit_record (
    id TEXT PRIMARY KEY, max_running INTEGER NOT NULL
) WITHOUT ROWID;
-- Of limits that have one the rate, as text; and of names that lack tokens when their bucket is
-- full.
CREATE TABLE IF NOT EXISTS limit_rate (
    id TEXT PRIMARY KEY, rate TEXT NOT NULL, burst INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS limit_bucket (
    name TEXT PRIMARY KEY, full_us INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS limit_bucket_full ON limit_bucket (full_us, name);
CREATE TABLE IF NOT EXISTS limit_use (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    held INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    open INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS limit_opening ON limit_use (open, name) WHERE open > 0;
-- Runs of many tasks: `at_ms` of an open one is when it has news. The lines of its member log are
-- numbered from 1; `what` and `member` are in the text, too.
CREATE INDEX IF NOT EXISTS run_news ON task (at_ms, id) WHERE home = 'open';
CREATE INDEX IF NOT EXISTS run_open_id ON task (id) WHERE home = 'open';
CREATE TABLE IF NOT EXISTS member_line (
    run INTEGER NOT NULL,
    n INTEGER NOT NULL,
    what TEXT NOT NULL,
    member TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (run, n)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS member_line_skipped ON member_line (run, member) WHERE what = 's';
-- How many are open: what earlier versions count is in `meta`, all of whose columns they write.
CREATE TABLE IF NOT EXISTS run_count (
    one INTEGER PRIMARY KEY CHECK (one = 1), open INTEGER NOT NULL
);
INSERT OR IGNORE INTO run_count VALUES (1, 0);
-- From which runs a run takes over members: these stay for as long as it does. And those of them
-- whose own time is over, which are on no list of what has ended.
CREATE TABLE IF NOT EXISTS run_source (
    run TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (run, source)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS run_source_of ON run_source (source);
CREATE TABLE IF NOT EXISTS run_aside (run TEXT PRIMARY KEY) WITHOUT ROWID;

-- Attempts of a task that ended without its end, a line each; few tasks have any. They go with the
-- task whichever build removes it.
CREATE TABLE IF NOT EXISTS past (task INTEGER PRIMARY KEY, lines TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS past_gone AFTER DELETE ON task
    BEGIN DELETE FROM past WHERE task = OLD.seq; END;

INSERT OR IGNORE INTO history (one, identity) VALUES (1, lower(hex(randomblob(16))));
"""
HAS_ADDED = (
    "SELECT count(*) = 26 FROM sqlite_master WHERE name IN ('history', 'parked', 'pod_format', "
    "'worker_ability_digest', 'class', 'class_count', 'class_shut', 'class_opened', "
    "'class_changed', 'class_full', 'task_open', 'task_waiting', 'task_late', "
    "'run_count', 'past', 'past_gone', 'limit_record', 'limit_use', 'limit_opening', "
    "'limit_rate', 'limit_bucket', 'limit_bucket_full', 'run_source', 'run_source_of', "
    "'run_aside', 'counted')"
)

ADDED_STATEMENTS = tuple(part.strip() for part in _ADDED.split(";\n") if part.strip())
STATEMENTS = tuple(part.strip() for part in _TABLES.split(";\n") if part.strip())
