-- Times are microseconds since 1970-01-01 UTC, JSON is text: `jsonb` would order properties and rewrite numbers anew.
-- Text that is compared or listed is COLLATE "C", which orders by bytes as SQLite does, whatever the database speaks.
-- Rows that the log folds into (persons and below) have no foreign keys: the log may hold events
-- of a project that is gone, and folding them must not stop.

-- Numbers that are given out: a sequence would skip one at every refused row.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

INSERT INTO counters (name, value) VALUES ('projects', 0), ('secret_keys', 0);

CREATE TABLE projects (
    id           BIGINT PRIMARY KEY,
    uuid         UUID NOT NULL UNIQUE,
    organization UUID NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    api_token    TEXT COLLATE "C" NOT NULL UNIQUE,
    created_at   BIGINT NOT NULL,
    timezone     TEXT NOT NULL DEFAULT 'UTC',
    settings     TEXT NOT NULL,
    exhausted    TEXT NOT NULL DEFAULT '[]',
    restrictions TEXT NOT NULL DEFAULT '[]'
);

CREATE TABLE project_keys (
    key         TEXT COLLATE "C" PRIMARY KEY,
    project_id  BIGINT NOT NULL REFERENCES projects (id),
    label       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE INDEX project_keys_by_project ON project_keys (project_id);

-- Personal and project secret keys: only a hash of the value.
CREATE TABLE secret_keys (
    id           BIGINT PRIMARY KEY,
    kind         TEXT NOT NULL CHECK (kind IN ('personal', 'secret')),
    hash         BYTEA NOT NULL UNIQUE,
    mask         TEXT NOT NULL,
    label        TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    projects     TEXT,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);

-- One counter that moves with projects and keys, so that a server sees what another process changed.
CREATE TABLE revision (
    id    SMALLINT PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);

INSERT INTO revision (id, value) VALUES (1, 1);

CREATE FUNCTION move_revision() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    UPDATE revision SET value = value + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER projects_changed AFTER INSERT OR UPDATE OR DELETE ON projects
    FOR EACH ROW EXECUTE FUNCTION move_revision();
CREATE TRIGGER project_keys_changed AFTER INSERT OR UPDATE OR DELETE ON project_keys
    FOR EACH ROW EXECUTE FUNCTION move_revision();
CREATE TRIGGER secret_keys_changed
    AFTER INSERT OR DELETE OR UPDATE OF kind, hash, label, scopes, projects ON secret_keys
    FOR EACH ROW EXECUTE FUNCTION move_revision();

-- Room in each page keeps a changed person beside its older self, so that no index has to learn of it.
CREATE TABLE persons (
    project_id    BIGINT NOT NULL,
    uuid          UUID NOT NULL,
    created_at    BIGINT NOT NULL,
    properties    TEXT COLLATE "C" NOT NULL,
    is_identified BOOLEAN NOT NULL,
    version       BIGINT NOT NULL,
    last_seen_at  BIGINT,
    PRIMARY KEY (project_id, uuid)
) WITH (fillfactor = 85);

CREATE TABLE person_distinct_ids (
    project_id  BIGINT NOT NULL,
    distinct_id TEXT COLLATE "C" NOT NULL,
    person_uuid UUID NOT NULL,
    version     BIGINT NOT NULL,
    PRIMARY KEY (project_id, distinct_id)
);

CREATE INDEX person_distinct_ids_by_person ON person_distinct_ids (project_id, person_uuid);

CREATE TABLE personless_distinct_ids (
    project_id  BIGINT NOT NULL,
    distinct_id TEXT COLLATE "C" NOT NULL,
    is_merged   BOOLEAN NOT NULL,
    PRIMARY KEY (project_id, distinct_id)
);

CREATE TABLE group_types (
    project_id BIGINT NOT NULL,
    slot       SMALLINT NOT NULL CHECK (slot BETWEEN 0 AND 4),
    name       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, slot),
    UNIQUE (project_id, name)
);

CREATE TABLE group_entries (
    project_id BIGINT NOT NULL,
    slot       SMALLINT NOT NULL CHECK (slot BETWEEN 0 AND 4),
    key        TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    properties TEXT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (project_id, slot, key)
) WITH (fillfactor = 85);

CREATE TABLE event_definitions (
    project_id   BIGINT NOT NULL,
    name         TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
) WITH (fillfactor = 85);

-- owner: 1 event, 2 person, 3 group; slot is -1 unless the owner is a group.
CREATE TABLE property_definitions (
    project_id BIGINT NOT NULL,
    owner      SMALLINT NOT NULL CHECK (owner BETWEEN 1 AND 3),
    slot       SMALLINT NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    kind       TEXT,
    PRIMARY KEY (project_id, owner, slot, name)
);

CREATE TABLE event_properties (
    project_id BIGINT NOT NULL,
    event      TEXT COLLATE "C" NOT NULL,
    property   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (project_id, event, property)
);

CREATE TABLE checkpoints (
    log_partition BIGINT PRIMARY KEY,
    log_offset    BIGINT NOT NULL
);

CREATE TABLE cookieless_salts (
    day  TEXT COLLATE "C" PRIMARY KEY,
    salt BYTEA NOT NULL CHECK (octet_length(salt) = 16)
);

CREATE TABLE cursors (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT NOT NULL
);
