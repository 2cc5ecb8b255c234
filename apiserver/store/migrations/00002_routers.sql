-- Routers, the ports that are their ends, and the MAC by which a host's routed frames are known.

-- +goose Up

CREATE SEQUENCE router_keys AS bigint MINVALUE 1 MAXVALUE 4294967295 CYCLE;

CREATE TABLE routers (
    id                 uuid PRIMARY KEY,
    key                bigint NOT NULL DEFAULT nextval('router_keys') CONSTRAINT routers_key UNIQUE
                       CHECK (key BETWEEN 1 AND 4294967295),
    project_id         text NOT NULL,
    name               text NOT NULL,
    description        text NOT NULL,
    admin_state_up     boolean NOT NULL,
    route_destinations cidr[] NOT NULL,
    route_hops         inet[] NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision           bigint NOT NULL DEFAULT 1,
    CHECK (cardinality(route_destinations) = cardinality(route_hops))
);
CREATE INDEX routers_project ON routers (project_id);
CREATE INDEX routers_name    ON routers (name);

CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON routers FOR EACH ROW EXECUTE FUNCTION note_change('router');

-- A router's interface is a port: a change of it is a change of the port, and none of the router.
ALTER TABLE ports
    ADD COLUMN router_id uuid CONSTRAINT ports_router REFERENCES routers ON DELETE RESTRICT,
    DROP CONSTRAINT ports_role_check,
    ADD CONSTRAINT ports_role_check CHECK (role IN ('', 'dhcp', 'router_interface')),
    ADD CONSTRAINT ports_role_router CHECK ((role = 'router_interface') = (router_id IS NOT NULL));
CREATE INDEX ports_of_router ON ports (router_id) WHERE router_id IS NOT NULL;

-- Which subnets a router joins. A packet can have but one way: no two of them overlap, so none is there twice. The
-- CIDR is the subnet's, which never changes.
CREATE TABLE router_subnets (
    router_id uuid NOT NULL,
    subnet_id uuid NOT NULL CONSTRAINT router_subnets_subnet REFERENCES subnets ON DELETE RESTRICT,
    port_id   uuid NOT NULL REFERENCES ports ON DELETE CASCADE,
    cidr      cidr NOT NULL,
    PRIMARY KEY (port_id, subnet_id),
    CONSTRAINT router_overlap EXCLUDE USING gist (router_id WITH =, cidr inet_ops WITH &&)
);
CREATE INDEX router_subnets_of_subnet ON router_subnets (subnet_id);

-- fa:16:3f and 24 bits: as local as the MACs of ports (fa:16:3e), and none of them.
CREATE SEQUENCE host_macs AS integer MINVALUE 1 MAXVALUE 16777215 CYCLE;
ALTER TABLE hosts ADD COLUMN mac macaddr NOT NULL CONSTRAINT hosts_mac UNIQUE
    DEFAULT ('fa163f' || lpad(to_hex(nextval('host_macs')), 6, '0'))::macaddr;

-- +goose Down
ALTER TABLE hosts DROP COLUMN mac;
DROP SEQUENCE host_macs;
DELETE FROM ports WHERE router_id IS NOT NULL;
DROP TABLE router_subnets;
ALTER TABLE ports
    DROP CONSTRAINT ports_role_router,
    DROP CONSTRAINT ports_role_check,
    ADD CONSTRAINT ports_role_check CHECK (role IN ('', 'dhcp')),
    DROP COLUMN router_id;
DROP TABLE routers;
DROP SEQUENCE router_keys;
