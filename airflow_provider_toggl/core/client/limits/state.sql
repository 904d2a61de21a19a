-- The host's book. Times are seconds since the epoch by this machine's clock; token is a digest.
-- Processes of two versions may share the file: a table whose columns change gets another name.

-- Leaky bucket: the last request of a token, see pacing.Mark.
CREATE TABLE IF NOT EXISTS last_turn (
    token TEXT PRIMARY KEY,
    lease INTEGER NOT NULL,
    taken_at REAL NOT NULL,
    left_at REAL,
    answered_at REAL,
    closed_until REAL NOT NULL,
    care REAL NOT NULL
);

-- What is left of each quota lane, as last told; remaining is null where answers tell nothing.
-- told_turn is the lease that was given last when it was told.
CREATE TABLE IF NOT EXISTS told_lane (
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    total INTEGER,
    remaining INTEGER,
    resets_at REAL,
    told_at REAL NOT NULL,
    told_turn INTEGER NOT NULL,
    PRIMARY KEY (token, lane)
);

-- Requests that were sent and not answered yet. Ids grow in the order of turns and are never used again.
CREATE TABLE IF NOT EXISTS lease (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    taken_at REAL NOT NULL
);

-- Who waits for a turn, in the order of coming, and when they said that they would ask again.
CREATE TABLE IF NOT EXISTS waiter (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL,
    back_at REAL NOT NULL
);

-- Which organization a workspace belongs to.
CREATE TABLE IF NOT EXISTS workspace (
    token TEXT NOT NULL,
    workspace_id INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    PRIMARY KEY (token, workspace_id)
);

-- What each claimant had of a lane's window, and until when it wants more; the empty name is of those that never
-- wait for others. wanted is null for as many as there are.
CREATE TABLE IF NOT EXISTS claim (
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    name TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0,
    counted_until REAL NOT NULL DEFAULT 0,
    wanted INTEGER,
    alive_until REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (token, lane, name)
);

-- How many requests left this host in an hour of the clock (hour: hours since the epoch), for those who look.
CREATE TABLE IF NOT EXISTS hour_tally (
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    total INTEGER,
    PRIMARY KEY (token, lane, hour)
) WITHOUT ROWID;
