-- How much projects may have, where that is not what the configuration says; and how hosts are, as operators see and say it.

-- +goose Up

CREATE TABLE quotas (
    project_id text NOT NULL,
    resource   text NOT NULL,
    most       integer NOT NULL CHECK (most >= -1), -- -1: any number
    PRIMARY KEY (project_id, resource)
);

-- used counts a project's rows of a table, as far as enough.
-- +goose StatementBegin
CREATE FUNCTION quota_used(of text, project text, enough bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    used bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %I WHERE project_id = $1 LIMIT $2) AS mine', of) INTO used USING project, enough;
    RETURN used;
END $$;
-- +goose StatementEnd

-- admits reports whether a project may have n more of a resource, and if so holds others back from what would be too much until
-- the transaction ends. otherwise is the limit of a project that has none of its own.
--
-- One at a time counts and inserts. Only who is so far from the limit that everybody who is connected could insert as much as
-- may go this way (64 rows) lets others do the same: the lock is shared then, against those who have to count exactly. Who
-- turns out to be too near gives it back, by the end of the inner block: two who both held it could not both have it alone.
-- +goose StatementBegin
CREATE FUNCTION quota_admits(kind text, of text, project text, n bigint, otherwise bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    most  bigint := coalesce((SELECT q.most FROM quotas q WHERE q.project_id = project AND q.resource = kind), otherwise);
    lock  bigint := hashtextextended(kind || ' ' || project, 9696);
    share bigint := 64;
    far   bigint := most - share * current_setting('max_connections')::bigint; -- up to here
BEGIN
    IF most < 0 THEN
        RETURN true;
    END IF;
    IF n <= share AND far > 0 THEN
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(lock);
            IF quota_used(of, project, far + 1) <= far THEN
                RETURN true;
            END IF;
            RAISE EXCEPTION USING ERRCODE = 'QNEAR';
        EXCEPTION WHEN SQLSTATE 'QNEAR' THEN
            NULL;
        END;
    END IF;
    PERFORM pg_advisory_xact_lock(lock);
    RETURN quota_used(of, project, most + 1) + n <= most;
END $$;
-- +goose StatementEnd

ALTER TABLE hosts
    ADD COLUMN description    text        NOT NULL DEFAULT '',
    ADD COLUMN admin_state_up boolean     NOT NULL DEFAULT true, -- false: no router has its gateway here
    ADD COLUMN created_at     timestamptz NOT NULL DEFAULT clock_timestamp();

-- Whether the controller has a connection with a host's switch. It is written every half minute, and no news to anybody.
CREATE TABLE sessions (
    host_id  uuid PRIMARY KEY REFERENCES hosts ON DELETE CASCADE,
    up       boolean NOT NULL,
    began_at timestamptz NOT NULL, -- of the last one, by the controller's clock
    seen_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- Availability zones that were asked for.
ALTER TABLE networks ADD COLUMN zone_hints text[] NOT NULL DEFAULT '{}';
ALTER TABLE routers  ADD COLUMN zone_hints text[] NOT NULL DEFAULT '{}';

-- +goose Down
ALTER TABLE routers  DROP COLUMN zone_hints;
ALTER TABLE networks DROP COLUMN zone_hints;
DROP TABLE sessions;
ALTER TABLE hosts DROP COLUMN description, DROP COLUMN admin_state_up, DROP COLUMN created_at;
DROP FUNCTION quota_admits, quota_used;
DROP TABLE quotas;
