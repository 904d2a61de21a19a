-- The host's book. Times are seconds since the epoch by this machine's clock; token is a digest.

-- Leaky bucket: from when the next request of a token may be sent.
CREATE TABLE IF NOT EXISTS pace (
    token TEXT PRIMARY KEY,
    free_at REAL NOT NULL,
    set_at REAL NOT NULL
);

-- What is left of each quota lane, as last told.
CREATE TABLE IF NOT EXISTS lane (
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    total INTEGER,
    remaining INTEGER,
    resets_at REAL,
    PRIMARY KEY (token, lane)
);

-- Requests that were sent and not answered yet.
CREATE TABLE IF NOT EXISTS lease (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL,
    lane TEXT NOT NULL,
    taken_at REAL NOT NULL
);

-- Which organization a workspace belongs to.
CREATE TABLE IF NOT EXISTS workspace (
    token TEXT NOT NULL,
    workspace_id INTEGER NOT NULL,
    organization_id INTEGER NOT NULL,
    PRIMARY KEY (token, workspace_id)
);
