-- What Nova is to be told of its servers' ports (docs/adr/0014-nova.md), and the bindings of ports that wait to become the one that
-- counts, which is in the port's own row.

-- +goose Up

CREATE TABLE inactive_bindings (
    port_id   uuid NOT NULL REFERENCES ports ON DELETE CASCADE,
    host      text NOT NULL CHECK (host <> ''),
    vnic_type text NOT NULL,
    profile   text NOT NULL,
    CONSTRAINT inactive_bindings_once PRIMARY KEY (port_id, host)
);

-- Until when events are written. Who sends them to Nova moves it on; where nobody does, nothing is written.
CREATE TABLE nova_listener (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    until timestamptz NOT NULL
);
INSERT INTO nova_listener (until) VALUES ('-infinity');

CREATE TABLE nova_events (
    id         bigserial PRIMARY KEY, -- of one port, in the order of what they tell
    server_id  uuid NOT NULL,
    name       text NOT NULL,
    port_id    uuid NOT NULL,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    due        timestamptz NOT NULL DEFAULT clock_timestamp(), -- not to be sent before
    tries      integer NOT NULL DEFAULT 0,                     -- that Nova has refused
    held_until timestamptz                                     -- somebody is sending it, and is dead if it is still there then
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX nova_events_due       ON nova_events (due);
CREATE INDEX nova_events_at        ON nova_events (at);
CREATE INDEX nova_events_of_server ON nova_events (server_id, id);

-- Only a VM's port that names its server concerns Nova.
-- +goose StatementBegin
CREATE FUNCTION of_a_server(device_owner text, device_id text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT device_owner LIKE 'compute:%' AND device_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION tell_nova(event text, port uuid, device_owner text, device_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF of_a_server(device_owner, device_id) THEN
        INSERT INTO nova_events (server_id, name, port_id)
            SELECT device_id::uuid, event, port FROM nova_listener WHERE one AND until > clock_timestamp();
    END IF;
END $$;
-- +goose StatementEnd

-- DB.SetStatus tells of statuses, many at a time, and Tx.replaceAddresses of addresses, which change after the port's row.
-- +goose StatementBegin
CREATE FUNCTION tell_nova_of_port() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        PERFORM tell_nova('network-vif-deleted', OLD.id, OLD.device_owner, OLD.device_id);
    ELSE
        PERFORM tell_nova('network-changed', NEW.id, NEW.device_owner, NEW.device_id);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell_nova AFTER DELETE ON ports FOR EACH ROW
    WHEN (OLD.device_owner LIKE 'compute:%') EXECUTE FUNCTION tell_nova_of_port();
CREATE TRIGGER tell_nova_update AFTER UPDATE ON ports FOR EACH ROW
    WHEN (OLD.mac <> NEW.mac AND NEW.device_owner LIKE 'compute:%')
    EXECUTE FUNCTION tell_nova_of_port();

-- Where the port is gone, or has given up the address, that has been told.
-- +goose StatementBegin
CREATE FUNCTION tell_nova_of_floatingip() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM tell_nova('network-changed', p.id, p.device_owner, p.device_id)
            FROM allocations a JOIN ports p ON p.id = a.port_id WHERE a.subnet_id = OLD.subnet_id AND a.ip = OLD.fixed_ip;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM tell_nova('network-changed', p.id, p.device_owner, p.device_id)
            FROM allocations a JOIN ports p ON p.id = a.port_id WHERE a.subnet_id = NEW.subnet_id AND a.ip = NEW.fixed_ip;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER tell_nova_insert AFTER INSERT ON floatingips FOR EACH ROW
    WHEN (NEW.fixed_ip IS NOT NULL) EXECUTE FUNCTION tell_nova_of_floatingip();
CREATE TRIGGER tell_nova_update AFTER UPDATE ON floatingips FOR EACH ROW
    WHEN ((OLD.subnet_id, OLD.fixed_ip) IS DISTINCT FROM (NEW.subnet_id, NEW.fixed_ip)) EXECUTE FUNCTION tell_nova_of_floatingip();
CREATE TRIGGER tell_nova_delete AFTER DELETE ON floatingips FOR EACH ROW
    WHEN (OLD.fixed_ip IS NOT NULL) EXECUTE FUNCTION tell_nova_of_floatingip();

-- +goose Down
DROP TRIGGER tell_nova_delete ON floatingips;
DROP TRIGGER tell_nova_update ON floatingips;
DROP TRIGGER tell_nova_insert ON floatingips;
DROP TRIGGER tell_nova_update ON ports;
DROP TRIGGER tell_nova ON ports;
DROP FUNCTION tell_nova_of_floatingip, tell_nova_of_port, tell_nova, of_a_server;
DROP TABLE nova_events, nova_listener, inactive_bindings;
