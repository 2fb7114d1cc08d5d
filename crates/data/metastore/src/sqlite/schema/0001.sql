-- Times are microseconds since 1970-01-01 UTC, uuids are 16 bytes, JSON is text.
-- Rows that the log folds into (persons and below) have no foreign keys: the log may hold events
-- of a project that is gone, and folding them must not stop.

CREATE TABLE projects (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid         BLOB NOT NULL UNIQUE,
    organization BLOB NOT NULL,
    name         TEXT NOT NULL,
    api_token    TEXT NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    timezone     TEXT NOT NULL DEFAULT 'UTC',
    settings     TEXT NOT NULL,
    exhausted    TEXT NOT NULL DEFAULT '[]',
    restrictions TEXT NOT NULL DEFAULT '[]'
) STRICT;

CREATE TABLE project_keys (
    key         TEXT PRIMARY KEY,
    project_id  INTEGER NOT NULL REFERENCES projects (id),
    label       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX project_keys_by_project ON project_keys (project_id);

-- Personal and project secret keys: only a hash of the value.
CREATE TABLE secret_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL CHECK (kind IN ('personal', 'secret')),
    hash         BLOB NOT NULL UNIQUE,
    mask         TEXT NOT NULL,
    label        TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    projects     TEXT,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;

-- One counter that moves with projects and keys, so that a server sees what another process changed.
CREATE TABLE revision (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;

INSERT INTO revision (id, value) VALUES (1, 1);

CREATE TRIGGER projects_inserted AFTER INSERT ON projects BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER projects_updated AFTER UPDATE ON projects BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER projects_deleted AFTER DELETE ON projects BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER project_keys_inserted AFTER INSERT ON project_keys BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER project_keys_updated AFTER UPDATE ON project_keys BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER project_keys_deleted AFTER DELETE ON project_keys BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER secret_keys_inserted AFTER INSERT ON secret_keys BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER secret_keys_updated AFTER UPDATE OF kind, hash, label, scopes, projects ON secret_keys
    BEGIN UPDATE revision SET value = value + 1; END;
CREATE TRIGGER secret_keys_deleted AFTER DELETE ON secret_keys BEGIN UPDATE revision SET value = value + 1; END;

CREATE TABLE persons (
    id            INTEGER PRIMARY KEY,
    project_id    INTEGER NOT NULL,
    uuid          BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    properties    TEXT NOT NULL,
    is_identified INTEGER NOT NULL,
    version       INTEGER NOT NULL,
    last_seen_at  INTEGER,
    UNIQUE (project_id, uuid)
) STRICT;

CREATE TABLE person_distinct_ids (
    project_id  INTEGER NOT NULL,
    distinct_id TEXT NOT NULL,
    person_uuid BLOB NOT NULL,
    version     INTEGER NOT NULL,
    PRIMARY KEY (project_id, distinct_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX person_distinct_ids_by_person ON person_distinct_ids (project_id, person_uuid);

CREATE TABLE personless_distinct_ids (
    project_id  INTEGER NOT NULL,
    distinct_id TEXT NOT NULL,
    is_merged   INTEGER NOT NULL,
    PRIMARY KEY (project_id, distinct_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_types (
    project_id INTEGER NOT NULL,
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 4),
    name       TEXT NOT NULL,
    PRIMARY KEY (project_id, slot),
    UNIQUE (project_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE group_entries (
    id         INTEGER PRIMARY KEY,
    project_id INTEGER NOT NULL,
    slot       INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 4),
    key        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    properties TEXT NOT NULL,
    version    INTEGER NOT NULL,
    UNIQUE (project_id, slot, key)
) STRICT;

CREATE TABLE event_definitions (
    project_id   INTEGER NOT NULL,
    name         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) STRICT, WITHOUT ROWID;

-- owner: 1 event, 2 person, 3 group; slot is -1 unless the owner is a group.
CREATE TABLE property_definitions (
    project_id INTEGER NOT NULL,
    owner      INTEGER NOT NULL CHECK (owner BETWEEN 1 AND 3),
    slot       INTEGER NOT NULL,
    name       TEXT NOT NULL,
    kind       TEXT,
    PRIMARY KEY (project_id, owner, slot, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE event_properties (
    project_id INTEGER NOT NULL,
    event      TEXT NOT NULL,
    property   TEXT NOT NULL,
    PRIMARY KEY (project_id, event, property)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    log_partition INTEGER PRIMARY KEY,
    log_offset    INTEGER NOT NULL
) STRICT;

CREATE TABLE cookieless_salts (
    day  TEXT PRIMARY KEY,
    salt BLOB NOT NULL CHECK (length(salt) = 16)
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
