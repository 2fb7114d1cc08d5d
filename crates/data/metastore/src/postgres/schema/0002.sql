-- Requests to forget a person. The ids are emptied when the rows are gone.
INSERT INTO counters (name, value) VALUES ('erasures', 0);

CREATE TABLE erasures (
    id           BIGINT PRIMARY KEY,
    project_id   BIGINT NOT NULL,
    distinct_ids TEXT NOT NULL,
    person_ids   TEXT NOT NULL,
    stage        TEXT NOT NULL DEFAULT 'asked',
    marks        TEXT NOT NULL DEFAULT '',
    report       TEXT NOT NULL DEFAULT '',
    asked_at     BIGINT NOT NULL,
    erased_at    BIGINT
);
