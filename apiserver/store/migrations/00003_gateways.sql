-- Routers' gateways to external networks, floating IPs, and the machines outside that routers have met.

-- +goose Up

-- A gateway's port is known by its router, as an interface is.
ALTER TABLE ports
    DROP CONSTRAINT ports_role_check,
    DROP CONSTRAINT ports_role_router,
    ADD CONSTRAINT ports_role_check CHECK (role IN ('', 'dhcp', 'router_interface', 'router_gateway', 'floatingip')),
    ADD CONSTRAINT ports_role_router CHECK ((role IN ('router_interface', 'router_gateway')) = (router_id IS NOT NULL));

-- Conntrack zones are but few: the next one that is free, from where the last was found, so that the connections of one
-- that is given back have ended before it is given out again.
CREATE SEQUENCE gateway_zones AS integer MINVALUE 1 MAXVALUE 32767 CYCLE;

-- +goose StatementBegin
CREATE FUNCTION free_zone() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    candidate integer;
BEGIN
    FOR i IN 1..32767 LOOP
        candidate := nextval('gateway_zones');
        IF NOT EXISTS (SELECT FROM router_gateways WHERE zone = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'no zone is free' USING ERRCODE = 'unique_violation', CONSTRAINT = 'router_gateways_zones';
END $$;
-- +goose StatementEnd

CREATE TABLE router_gateways (
    router_id   uuid PRIMARY KEY CONSTRAINT router_gateways_router REFERENCES routers ON DELETE RESTRICT,
    port_id     uuid NOT NULL CONSTRAINT router_gateways_port_once UNIQUE
                CONSTRAINT router_gateways_port REFERENCES ports ON DELETE RESTRICT,
    network_id  uuid NOT NULL CONSTRAINT router_gateways_network REFERENCES networks ON DELETE RESTRICT,
    enable_snat boolean NOT NULL,
    zone        integer NOT NULL DEFAULT free_zone() CONSTRAINT router_gateways_zone UNIQUE CHECK (zone BETWEEN 1 AND 32767),
    host_id     uuid REFERENCES hosts ON DELETE SET NULL, -- the controller's choice
    UNIQUE (router_id, network_id)                        -- for floating IPs to refer to
);
CREATE INDEX router_gateways_of_network ON router_gateways (network_id);
CREATE INDEX router_gateways_of_host    ON router_gateways (host_id);

-- For floating IPs to refer to. No other rows are refused by it than by router_overlap.
ALTER TABLE router_subnets ADD CONSTRAINT router_subnets_once UNIQUE (router_id, subnet_id);

-- The address that a floating IP stands for is an allocation, and by it the port is known. With the allocation, be it
-- that the port goes or that it only changes its addresses, the association ends. The interface and the gateway between
-- the two cannot go before it.
CREATE TABLE floatingips (
    id          uuid PRIMARY KEY,
    project_id  text NOT NULL,
    description text NOT NULL,
    network_id  uuid NOT NULL CONSTRAINT floatingips_network REFERENCES networks ON DELETE RESTRICT,
    own_port_id uuid NOT NULL CONSTRAINT floatingips_port_once UNIQUE
                CONSTRAINT floatingips_port REFERENCES ports ON DELETE RESTRICT,
    subnet_id   uuid,
    fixed_ip    inet,
    router_id   uuid,
    status      text NOT NULL DEFAULT 'DOWN' CHECK (status IN ('ACTIVE', 'DOWN')),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    revision    bigint NOT NULL DEFAULT 1,
    CHECK ((subnet_id IS NULL) = (fixed_ip IS NULL) AND (router_id IS NULL) = (fixed_ip IS NULL)),
    CONSTRAINT floatingips_fixed UNIQUE (fixed_ip, subnet_id, network_id),
    CONSTRAINT floatingips_address FOREIGN KEY (subnet_id, fixed_ip) REFERENCES allocations (subnet_id, ip) ON DELETE SET NULL,
    CONSTRAINT floatingips_interface FOREIGN KEY (router_id, subnet_id)
        REFERENCES router_subnets (router_id, subnet_id) ON DELETE RESTRICT,
    CONSTRAINT floatingips_gateway FOREIGN KEY (router_id, network_id)
        REFERENCES router_gateways (router_id, network_id) ON DELETE RESTRICT
) WITH (fillfactor = 85); -- as ports have it
CREATE INDEX floatingips_of_router  ON floatingips (router_id, subnet_id);
CREATE INDEX floatingips_of_network ON floatingips (network_id);
CREATE INDEX floatingips_project    ON floatingips (project_id);

-- What a floating IP stands for is another, or nothing: nobody has seen that work yet.
-- +goose StatementBegin
CREATE FUNCTION reassociate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.status := 'DOWN';
    IF NEW.fixed_ip IS NULL THEN
        NEW.router_id := NULL;
    END IF;
    IF NEW.revision = OLD.revision THEN -- by the foreign key, not by a client
        NEW.revision := OLD.revision + 1;
        NEW.updated_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER reassociate BEFORE UPDATE ON floatingips FOR EACH ROW
    WHEN ((OLD.subnet_id, OLD.fixed_ip, OLD.router_id) IS DISTINCT FROM (NEW.subnet_id, NEW.fixed_ip, NEW.router_id))
    EXECUTE FUNCTION reassociate();

-- Machines on external networks, as they answered ARP.
CREATE TABLE neighbours (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    network_id uuid NOT NULL REFERENCES networks ON DELETE CASCADE,
    addr       inet NOT NULL CHECK (masklen(addr) = CASE family(addr) WHEN 4 THEN 32 ELSE 128 END),
    mac        macaddr NOT NULL,
    CONSTRAINT neighbours_addr UNIQUE (network_id, addr)
);

-- +goose StatementBegin
CREATE FUNCTION forget_neighbours() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM neighbours WHERE network_id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER forget_neighbours AFTER UPDATE ON networks FOR EACH ROW WHEN (OLD.external AND NOT NEW.external)
    EXECUTE FUNCTION forget_neighbours();

-- The change feed. A gateway's row, and its port's, are part of the router's.

-- +goose StatementBegin
CREATE FUNCTION note_gateway() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) VALUES ('router', coalesce(NEW.router_id, OLD.router_id));
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON router_gateways FOR EACH ROW EXECUTE FUNCTION note_gateway();
CREATE TRIGGER note_gateway AFTER UPDATE ON ports FOR EACH ROW
    WHEN (NEW.role = 'router_gateway' AND OLD.status = NEW.status) EXECUTE FUNCTION note_gateway();
CREATE TRIGGER note AFTER INSERT OR DELETE ON floatingips FOR EACH ROW EXECUTE FUNCTION note_change('floatingip');
-- A status alone is the controller's own word, as a port's is.
CREATE TRIGGER note_update AFTER UPDATE ON floatingips FOR EACH ROW
    WHEN (OLD.status = NEW.status OR OLD.fixed_ip IS DISTINCT FROM NEW.fixed_ip
          OR OLD.subnet_id IS DISTINCT FROM NEW.subnet_id OR OLD.router_id IS DISTINCT FROM NEW.router_id)
    EXECUTE FUNCTION note_change('floatingip');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON neighbours FOR EACH ROW EXECUTE FUNCTION note_change('neighbour');

-- +goose Down
DROP TRIGGER note_gateway ON ports;
DROP TRIGGER forget_neighbours ON networks;
DROP TABLE neighbours, floatingips, router_gateways;
DROP FUNCTION note_gateway, forget_neighbours, reassociate, free_zone;
DROP SEQUENCE gateway_zones;
ALTER TABLE router_subnets DROP CONSTRAINT router_subnets_once;
DELETE FROM ports WHERE role IN ('router_gateway', 'floatingip');
ALTER TABLE ports
    DROP CONSTRAINT ports_role_check,
    DROP CONSTRAINT ports_role_router,
    ADD CONSTRAINT ports_role_check CHECK (role IN ('', 'dhcp', 'router_interface')),
    ADD CONSTRAINT ports_role_router CHECK ((role = 'router_interface') = (router_id IS NOT NULL));
