-- Requests to forget a person. The ids are emptied when the rows are gone.
CREATE TABLE erasures (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id   INTEGER NOT NULL,
    distinct_ids TEXT NOT NULL,
    person_ids   TEXT NOT NULL,
    stage        TEXT NOT NULL DEFAULT 'asked',
    marks        TEXT NOT NULL DEFAULT '',
    report       TEXT NOT NULL DEFAULT '',
    asked_at     INTEGER NOT NULL,
    erased_at    INTEGER
) STRICT;
