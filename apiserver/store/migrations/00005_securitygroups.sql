-- Security groups, their rules, and the ports that are in them.

-- +goose Up

CREATE SEQUENCE security_group_keys AS bigint MINVALUE 1 MAXVALUE 4294967295 CYCLE;
CREATE SEQUENCE security_rule_keys  AS bigint MINVALUE 1 MAXVALUE 4294967295 CYCLE;

-- A group's revision begins at 0, and with its first rules it is at 1.
CREATE TABLE security_groups (
    id          uuid PRIMARY KEY,
    key         bigint NOT NULL DEFAULT nextval('security_group_keys') CONSTRAINT security_groups_key UNIQUE
                CHECK (key BETWEEN 1 AND 4294967295),
    project_id  text NOT NULL,
    name        text NOT NULL,
    description text NOT NULL,
    is_default  boolean NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision    bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX security_groups_default ON security_groups (project_id) WHERE is_default;
CREATE INDEX security_groups_project ON security_groups (project_id);
CREATE INDEX security_groups_name    ON security_groups (name);

-- What a rule allows, in one text by which two rules are told apart, is the program's to say (SecurityGroupRule.Effect).
CREATE TABLE security_group_rules (
    id              uuid PRIMARY KEY,
    key             bigint NOT NULL DEFAULT nextval('security_rule_keys') CONSTRAINT security_group_rules_key UNIQUE
                    CHECK (key BETWEEN 1 AND 4294967295),
    group_id        uuid NOT NULL CONSTRAINT security_group_rules_group REFERENCES security_groups ON DELETE CASCADE,
    project_id      text NOT NULL,
    description     text NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('ingress', 'egress')),
    ethertype       text NOT NULL CHECK (ethertype IN ('IPv4', 'IPv6')),
    protocol        text,
    port_min        integer CHECK (port_min BETWEEN 0 AND 65535),
    port_max        integer CHECK (port_max BETWEEN 0 AND 65535),
    remote_group_id uuid CONSTRAINT security_group_rules_remote REFERENCES security_groups ON DELETE CASCADE,
    remote_prefix   inet CHECK (family(remote_prefix) = CASE ethertype WHEN 'IPv4' THEN 4 ELSE 6 END),
    effect          text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision        bigint NOT NULL DEFAULT 0,
    CHECK (remote_group_id IS NULL OR remote_prefix IS NULL),
    CONSTRAINT security_group_rules_once UNIQUE (group_id, effect)
);
CREATE INDEX security_group_rules_project ON security_group_rules (project_id);
CREATE INDEX security_group_rules_remotes ON security_group_rules (remote_group_id);

-- Which groups a port is in changes with the port's row, as its addresses do.
CREATE TABLE port_security_groups (
    port_id  uuid NOT NULL REFERENCES ports ON DELETE CASCADE,
    group_id uuid NOT NULL CONSTRAINT port_security_groups_group REFERENCES security_groups ON DELETE RESTRICT,
    PRIMARY KEY (port_id, group_id)
);
CREATE INDEX port_security_groups_of_group ON port_security_groups (group_id);

-- A group changes with its rules, also with those that go because the group they name does.
-- +goose StatementBegin
CREATE FUNCTION revise_groups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM security_groups WHERE id IN (SELECT group_id FROM touched) ORDER BY id FOR NO KEY UPDATE;
    UPDATE security_groups SET revision = revision + 1, updated_at = clock_timestamp()
        WHERE id IN (SELECT group_id FROM touched);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER revise_inserted AFTER INSERT ON security_group_rules REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION revise_groups();
CREATE TRIGGER revise_updated AFTER UPDATE ON security_group_rules REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION revise_groups();
CREATE TRIGGER revise_deleted AFTER DELETE ON security_group_rules REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION revise_groups();

CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON security_groups FOR EACH ROW EXECUTE FUNCTION note_change('security_group');

-- +goose Down
DROP TABLE port_security_groups, security_group_rules, security_groups;
DROP FUNCTION revise_groups;
DROP SEQUENCE security_rule_keys, security_group_keys;
