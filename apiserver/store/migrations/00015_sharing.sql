-- Who may use what is another's, blocks of addresses that subnets are cut from, and which ports a subnet is for.

-- +goose Up

-- The truth about sharing is here: each row opens one object to one project, or to all ('*').
CREATE TABLE rbac_policies (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL,
    object_type text NOT NULL CHECK (object_type IN ('network', 'subnetpool', 'address_scope', 'security_group')),
    object_id   uuid NOT NULL,
    action      text NOT NULL CHECK (action = 'access_as_shared' OR action = 'access_as_external' AND object_type = 'network'),
    target      text NOT NULL,
    CONSTRAINT rbac_policies_once UNIQUE (object_id, action, target)
);
CREATE INDEX rbac_policies_project ON rbac_policies (project_id, id);

INSERT INTO rbac_policies SELECT gen_random_uuid(), project_id, 'network', id, 'access_as_shared', '*' FROM networks WHERE shared;
INSERT INTO rbac_policies SELECT gen_random_uuid(), project_id, 'network', id, 'access_as_external', '*' FROM networks WHERE external;

-- A network's row has what its policies say, in order, so that who reads or locks the one has the other.
DROP INDEX networks_public;
ALTER TABLE networks
    ADD COLUMN shared_with text[] NOT NULL DEFAULT '{}',
    ADD COLUMN external_to text[] NOT NULL DEFAULT '{}';
UPDATE networks SET shared_with = '{*}' WHERE shared;
UPDATE networks SET external_to = '{*}' WHERE external;
DROP TRIGGER forget_neighbours ON networks;
ALTER TABLE networks DROP COLUMN shared, DROP COLUMN external;
ALTER TABLE networks
    ADD COLUMN shared   boolean NOT NULL GENERATED ALWAYS AS ('*' = ANY (shared_with)) STORED,
    ADD COLUMN external boolean NOT NULL GENERATED ALWAYS AS (external_to <> '{}') STORED,
    ADD COLUMN audience text[]  NOT NULL GENERATED ALWAYS AS (shared_with || external_to) STORED; -- who sees it
CREATE INDEX networks_public ON networks USING gin (audience) WHERE audience <> '{}';
CREATE TRIGGER forget_neighbours AFTER UPDATE ON networks FOR EACH ROW WHEN (OLD.external AND NOT NEW.external)
    EXECUTE FUNCTION forget_neighbours();

CREATE TABLE address_scopes (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL,
    name        text NOT NULL,
    ip_version  integer NOT NULL CHECK (ip_version IN (4, 6)),
    shared_with text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX address_scopes_project ON address_scopes (project_id, id);
CREATE INDEX address_scopes_name    ON address_scopes (name, id);
CREATE INDEX address_scopes_public  ON address_scopes USING gin (shared_with) WHERE shared_with <> '{}';

-- No block of a pool overlaps another. Between the pools of one address scope that holds by the scope's lock.
CREATE TABLE subnetpools (
    id                uuid PRIMARY KEY,
    project_id        text NOT NULL,
    name              text NOT NULL,
    description       text NOT NULL,
    prefixes          cidr[] NOT NULL CHECK (cardinality(prefixes) > 0),
    ip_version        integer NOT NULL GENERATED ALWAYS AS (family(prefixes[1])) STORED,
    min_prefixlen     integer NOT NULL,
    default_prefixlen integer NOT NULL,
    max_prefixlen     integer NOT NULL,
    default_quota     bigint CHECK (default_quota >= 0), -- of each project: addresses of IPv4, /64 of IPv6
    is_default        boolean NOT NULL,
    address_scope_id  uuid CONSTRAINT subnetpools_scope REFERENCES address_scopes ON DELETE RESTRICT,
    shared_with       text[] NOT NULL DEFAULT '{}',
    tags              text[] NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision          bigint NOT NULL DEFAULT 0,
    CHECK (0 <= min_prefixlen AND min_prefixlen <= default_prefixlen AND default_prefixlen <= max_prefixlen AND max_prefixlen <= 128)
);
CREATE UNIQUE INDEX subnetpools_default ON subnetpools (ip_version) WHERE is_default;
CREATE INDEX subnetpools_project  ON subnetpools (project_id, id);
CREATE INDEX subnetpools_name     ON subnetpools (name, id);
CREATE INDEX subnetpools_of_scope ON subnetpools (address_scope_id);
CREATE INDEX subnetpools_public   ON subnetpools USING gin (shared_with) WHERE shared_with <> '{}';
CREATE INDEX subnetpools_tags     ON subnetpools USING gin (tags) WHERE tags <> '{}';

-- What is cut from a pool are the subnets that name it.
ALTER TABLE subnets
    ADD COLUMN subnetpool_id uuid CONSTRAINT subnets_subnetpool REFERENCES subnetpools ON DELETE RESTRICT,
    ADD COLUMN service_types text[] NOT NULL DEFAULT '{}', -- device owners; none: any
    ADD CONSTRAINT subnets_pool_overlap EXCLUDE USING gist (subnetpool_id WITH =, cidr inet_ops WITH &&) WHERE (subnetpool_id IS NOT NULL);

ALTER TABLE security_groups ADD COLUMN shared_with text[] NOT NULL DEFAULT '{}';
CREATE INDEX security_groups_public ON security_groups USING gin (shared_with) WHERE shared_with <> '{}';

-- +goose StatementBegin
CREATE FUNCTION share() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    p        rbac_policies;
    guests   text[];
    outgoing text[];
BEGIN
    IF TG_OP = 'DELETE' THEN p := OLD; ELSE p := NEW; END IF;
    guests   := ARRAY(SELECT target FROM rbac_policies WHERE object_id = p.object_id AND action = 'access_as_shared' ORDER BY target);
    outgoing := ARRAY(SELECT target FROM rbac_policies WHERE object_id = p.object_id AND action = 'access_as_external' ORDER BY target);
    CASE p.object_type
    WHEN 'network' THEN
        UPDATE networks SET shared_with = guests, external_to = outgoing, revision = revision + 1, updated_at = clock_timestamp()
            WHERE id = p.object_id;
    WHEN 'subnetpool' THEN
        UPDATE subnetpools SET shared_with = guests, revision = revision + 1, updated_at = clock_timestamp() WHERE id = p.object_id;
    WHEN 'address_scope' THEN
        UPDATE address_scopes SET shared_with = guests WHERE id = p.object_id;
    WHEN 'security_group' THEN
        UPDATE security_groups SET shared_with = guests, revision = revision + 1, updated_at = clock_timestamp() WHERE id = p.object_id;
    END CASE;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER share AFTER INSERT OR UPDATE OR DELETE ON rbac_policies FOR EACH ROW EXECUTE FUNCTION share();

-- +goose StatementBegin
CREATE FUNCTION unshare() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM rbac_policies WHERE object_id = OLD.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER unshare AFTER DELETE ON networks        FOR EACH ROW EXECUTE FUNCTION unshare();
CREATE TRIGGER unshare AFTER DELETE ON subnetpools     FOR EACH ROW EXECUTE FUNCTION unshare();
CREATE TRIGGER unshare AFTER DELETE ON address_scopes  FOR EACH ROW EXECUTE FUNCTION unshare();
CREATE TRIGGER unshare AFTER DELETE ON security_groups FOR EACH ROW EXECUTE FUNCTION unshare();

-- +goose Down
DROP TABLE rbac_policies;
DROP TRIGGER unshare ON networks;
DROP TRIGGER unshare ON security_groups;
ALTER TABLE security_groups DROP COLUMN shared_with;
ALTER TABLE subnets DROP COLUMN subnetpool_id, DROP COLUMN service_types;
DROP TABLE subnetpools, address_scopes;
DROP FUNCTION share, unshare;
DROP TRIGGER forget_neighbours ON networks;
ALTER TABLE networks DROP COLUMN audience, DROP COLUMN shared, DROP COLUMN external;
ALTER TABLE networks ADD COLUMN shared boolean NOT NULL DEFAULT false, ADD COLUMN external boolean NOT NULL DEFAULT false;
UPDATE networks SET shared = '*' = ANY (shared_with), external = external_to <> '{}';
ALTER TABLE networks ALTER COLUMN shared DROP DEFAULT, ALTER COLUMN external DROP DEFAULT, DROP COLUMN shared_with, DROP COLUMN external_to;
CREATE INDEX networks_public ON networks (id) WHERE shared OR external;
CREATE TRIGGER forget_neighbours AFTER UPDATE ON networks FOR EACH ROW WHEN (OLD.external AND NOT NEW.external)
    EXECUTE FUNCTION forget_neighbours();
