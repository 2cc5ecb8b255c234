-- Networks, subnets, ports, their addresses and segments; hosts and bindings; the change feed.
-- Constraints have names where a client's mistake can meet them: errors.go says what each one means.

-- +goose Up

-- uuid beside inet in one exclusion constraint.
CREATE EXTENSION IF NOT EXISTS btree_gist;

-- The numbers that flows carry. 32 bits wide, and none comes back before all others were used.
CREATE SEQUENCE network_keys AS bigint MINVALUE 1 MAXVALUE 4294967295 CYCLE;
CREATE SEQUENCE port_keys    AS bigint MINVALUE 1 MAXVALUE 4294967295 CYCLE;

CREATE TABLE networks (
    id             uuid PRIMARY KEY,
    key            bigint NOT NULL DEFAULT nextval('network_keys') CONSTRAINT networks_key UNIQUE
                   CHECK (key BETWEEN 1 AND 4294967295),
    project_id     text NOT NULL,
    name           text NOT NULL,
    description    text NOT NULL,
    admin_state_up boolean NOT NULL,
    shared         boolean NOT NULL,
    external       boolean NOT NULL,
    mtu            integer NOT NULL CHECK (mtu BETWEEN 68 AND 65535),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision       bigint NOT NULL DEFAULT 1
);
CREATE INDEX networks_project ON networks (project_id);
CREATE INDEX networks_name    ON networks (name);
CREATE INDEX networks_public  ON networks (id) WHERE shared OR external;

-- A claim may be written before its network: the reference is looked at when the transaction commits.
CREATE TABLE segments (
    network_id      uuid PRIMARY KEY REFERENCES networks ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    network_type    text NOT NULL,
    physical        text NOT NULL,
    segmentation_id bigint NOT NULL,
    CONSTRAINT segments_physical CHECK ((network_type IN ('flat', 'vlan')) = (physical <> '')),
    CONSTRAINT segments_range CHECK (CASE network_type
        WHEN 'local'  THEN segmentation_id = 0
        WHEN 'flat'   THEN segmentation_id = 0
        WHEN 'vlan'   THEN segmentation_id BETWEEN 1 AND 4094
        WHEN 'gre'    THEN segmentation_id BETWEEN 1 AND 4294967295
        WHEN 'vxlan'  THEN segmentation_id BETWEEN 1 AND 16777215
        WHEN 'geneve' THEN segmentation_id BETWEEN 1 AND 16777215
        ELSE false END)
);
-- A flat network has its physical network to itself, as its id is 0; local networks are nowhere.
CREATE UNIQUE INDEX segments_place ON segments (network_type, physical, segmentation_id)
    WHERE network_type <> 'local';

CREATE TABLE subnets (
    id                 uuid PRIMARY KEY,
    network_id         uuid NOT NULL CONSTRAINT subnets_network REFERENCES networks ON DELETE CASCADE,
    project_id         text NOT NULL,
    name               text NOT NULL,
    description        text NOT NULL,
    cidr               cidr NOT NULL,
    gateway_ip         inet CHECK (family(gateway_ip) = family(cidr)),
    enable_dhcp        boolean NOT NULL,
    dns_servers        inet[] NOT NULL,
    route_destinations cidr[] NOT NULL,
    route_hops         inet[] NOT NULL,
    ra_mode            text NOT NULL CHECK (ra_mode IN ('', 'slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
    address_mode       text NOT NULL CHECK (address_mode IN ('', 'slaac', 'dhcpv6-stateful', 'dhcpv6-stateless')),
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision           bigint NOT NULL DEFAULT 1,
    CHECK (cardinality(route_destinations) = cardinality(route_hops)),
    CONSTRAINT subnets_overlap EXCLUDE USING gist (network_id WITH =, cidr inet_ops WITH &&)
);
CREATE INDEX subnets_of_network ON subnets (network_id, created_at);
CREATE INDEX subnets_project    ON subnets (project_id);
CREATE INDEX subnets_name       ON subnets (name);
CREATE INDEX subnets_cidr       ON subnets (cidr);

CREATE TABLE ports (
    id             uuid PRIMARY KEY,
    key            bigint NOT NULL DEFAULT nextval('port_keys') CONSTRAINT ports_key UNIQUE
                   CHECK (key BETWEEN 1 AND 4294967295),
    network_id     uuid NOT NULL CONSTRAINT ports_network REFERENCES networks ON DELETE RESTRICT,
    project_id     text NOT NULL,
    name           text NOT NULL,
    description    text NOT NULL,
    admin_state_up boolean NOT NULL,
    mac            macaddr NOT NULL,
    device_id      text NOT NULL,
    device_owner   text NOT NULL,
    role           text NOT NULL CHECK (role IN ('', 'dhcp')),
    status         text NOT NULL CHECK (status IN ('ACTIVE', 'DOWN')),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision       bigint NOT NULL DEFAULT 1,
    CONSTRAINT ports_mac UNIQUE (network_id, mac)
) WITH (fillfactor = 85); -- room for a status to change in place, with no index touched
CREATE INDEX ports_by_mac  ON ports (mac);
CREATE INDEX ports_project ON ports (project_id);
CREATE INDEX ports_name    ON ports (name);
CREATE INDEX ports_device  ON ports (device_id);

-- Addresses: address.go says how these four work together.

CREATE TYPE inetrange AS RANGE (subtype = inet);

CREATE TABLE pools (
    subnet_id uuid NOT NULL REFERENCES subnets ON DELETE CASCADE,
    first     inet NOT NULL,
    last      inet NOT NULL,
    size      bigint NOT NULL CHECK (size > 0),                         -- addresses, or 2^63-1 where there are more
    cut       bigint NOT NULL DEFAULT 0 CHECK (cut BETWEEN 0 AND size), -- so many, from the first on, were made free rows
    PRIMARY KEY (subnet_id, first),
    CONSTRAINT pools_overlap EXCLUDE USING gist (subnet_id WITH =, inetrange(first, last, '[]') WITH &&)
);

CREATE TABLE free_addresses (
    subnet_id uuid NOT NULL CONSTRAINT free_subnet REFERENCES subnets ON DELETE CASCADE,
    ip        inet NOT NULL,
    PRIMARY KEY (subnet_id, ip)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

CREATE TABLE allocations (
    subnet_id uuid NOT NULL CONSTRAINT allocations_subnet REFERENCES subnets ON DELETE RESTRICT,
    ip        inet NOT NULL CHECK (masklen(ip) = CASE family(ip) WHEN 4 THEN 32 ELSE 128 END),
    port_id   uuid NOT NULL CONSTRAINT allocations_port REFERENCES ports ON DELETE CASCADE,
    ord       smallint NOT NULL, -- a port's addresses keep the order they were asked for
    CONSTRAINT allocations_address PRIMARY KEY (subnet_id, ip)
);
CREATE INDEX allocations_of_port ON allocations (port_id, ord);
CREATE INDEX allocations_ip      ON allocations (ip);

-- +goose StatementBegin
CREATE FUNCTION refill(subnet uuid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    pool pools;
    n    bigint; -- so many more are cut
BEGIN
    SELECT * INTO pool FROM pools WHERE subnet_id = subnet AND cut < size ORDER BY first LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    n := least(128, pool.size - pool.cut);
    INSERT INTO free_addresses (subnet_id, ip)
        SELECT subnet, pool.first + i FROM generate_series(pool.cut, pool.cut + (n - 1)) AS i
        EXCEPT ALL
        SELECT subnet_id, ip FROM allocations
        WHERE subnet_id = subnet AND ip BETWEEN pool.first + pool.cut AND pool.first + (pool.cut + (n - 1));
    UPDATE pools SET cut = cut + n WHERE subnet_id = subnet AND first = pool.first;
    RETURN true;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION take_address(subnet uuid) RETURNS inet LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    taken    inet;
    refilled boolean := true;
BEGIN
    WHILE refilled LOOP
        DELETE FROM free_addresses WHERE ctid = (
            SELECT ctid FROM free_addresses WHERE subnet_id = subnet ORDER BY subnet_id, ip LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING ip INTO taken;
        IF taken IS NOT NULL THEN
            IF get_byte(inet_send(taken), octet_length(inet_send(taken)) - 1) % 32 = 0 THEN -- one address in 32
                PERFORM refill_ahead(subnet);
            END IF;
            RETURN taken;
        END IF;
        BEGIN
            PERFORM FROM subnets WHERE id = subnet FOR NO KEY UPDATE;
            IF NOT FOUND THEN
                RAISE EXCEPTION USING ERRCODE = 'no_data_found';
            END IF;
            PERFORM FROM free_addresses WHERE subnet_id = subnet LIMIT 1 FOR UPDATE SKIP LOCKED;
            IF FOUND THEN -- another refilled while this one waited: let go of the lock, by rolling this block back
                RAISE SQLSTATE 'SB001';
            END IF;
            refilled := refill(subnet);
        EXCEPTION WHEN SQLSTATE 'SB001' THEN
            NULL;
        END;
    END LOOP;
    -- What is left is in the hands of transactions that may yet fail: wait for them.
    DELETE FROM free_addresses WHERE ctid = (
        SELECT ctid FROM free_addresses WHERE subnet_id = subnet ORDER BY subnet_id, ip LIMIT 1 FOR UPDATE)
    RETURNING ip INTO taken;
    RETURN taken;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION refill_ahead(subnet uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    ahead CONSTANT bigint := 96;
BEGIN
    IF ahead > (SELECT count(*) FROM (SELECT FROM free_addresses WHERE subnet_id = subnet LIMIT ahead) AS next) THEN
        PERFORM FROM subnets WHERE id = subnet FOR NO KEY UPDATE SKIP LOCKED;
        IF FOUND THEN
            PERFORM refill(subnet);
        END IF;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION claim_address(subnet uuid, address inet) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM subnets WHERE id = subnet FOR SHARE;
    DELETE FROM free_addresses WHERE subnet_id = subnet AND ip = address;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION release_address() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM subnets WHERE id = OLD.subnet_id FOR SHARE;
    INSERT INTO free_addresses (subnet_id, ip)
        SELECT OLD.subnet_id, OLD.ip FROM pools
        WHERE subnet_id = OLD.subnet_id AND cut > 0 AND OLD.ip BETWEEN first AND first + (cut - 1);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER release AFTER DELETE ON allocations FOR EACH ROW EXECUTE FUNCTION release_address();

-- Hosts, and which of them holds which port.

CREATE TABLE hosts (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    datapath_id text NOT NULL CONSTRAINT hosts_datapath UNIQUE CHECK (datapath_id ~ '^[0-9a-f]{16}$'), -- as ovs-vsctl prints it
    name        text NOT NULL,
    tunnel_ip   inet,
    mappings    jsonb NOT NULL CHECK (jsonb_typeof(mappings) = 'object'),
    managed     boolean NOT NULL
);

CREATE TABLE bindings (
    port_id   uuid PRIMARY KEY REFERENCES ports ON DELETE CASCADE,
    host_id   uuid NOT NULL REFERENCES hosts ON DELETE CASCADE,
    interface text NOT NULL,
    bound_by  text NOT NULL CHECK (bound_by IN ('iface-id', 'name', 'mac')),
    bound_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX bindings_host ON bindings (host_id);

-- The change feed: docs/adr/0002-change-feed.md. Rows are written by triggers, so that whoever changes
-- a table, the feed knows. A port's addresses and a subnet's pools change with their owner's row.

CREATE TABLE changes (
    rev  bigserial NOT NULL,
    xid  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    kind text NOT NULL,
    id   uuid NOT NULL,
    at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (xid, rev)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Every change row of an older transaction may be gone.
CREATE TABLE pruned (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    below xid8 NOT NULL
);
INSERT INTO pruned (below) VALUES ('0');

-- +goose StatementBegin
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) VALUES (TG_ARGV[0], coalesce(NEW.id, OLD.id));
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION note_binding() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) VALUES ('port', coalesce(NEW.port_id, OLD.port_id));
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON networks FOR EACH ROW EXECUTE FUNCTION note_change('network');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON subnets  FOR EACH ROW EXECUTE FUNCTION note_change('subnet');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON hosts    FOR EACH ROW EXECUTE FUNCTION note_change('host');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON bindings FOR EACH ROW EXECUTE FUNCTION note_binding();
CREATE TRIGGER note AFTER INSERT OR DELETE ON ports FOR EACH ROW EXECUTE FUNCTION note_change('port');
-- A port's status is the controller's own word, and no news to it.
CREATE TRIGGER note_update AFTER UPDATE ON ports FOR EACH ROW WHEN (OLD.status = NEW.status)
    EXECUTE FUNCTION note_change('port');

-- +goose Down
DROP TABLE pruned, changes, bindings, hosts, allocations, free_addresses, pools, ports, subnets, segments, networks;
DROP FUNCTION note_binding, note_change, release_address, claim_address, take_address, refill;
DROP TYPE inetrange;
DROP SEQUENCE port_keys, network_keys;
