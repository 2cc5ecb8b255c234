-- What enforcing security groups needs: a conntrack zone for each port on its host, and a group for ports older than groups.

-- +goose Up

-- Zones below these are routers' (gateway_zones). The next one that is free on the host, from where the last was found, so that
-- what conntrack remembers of one that is given back is forgotten before it is given out again.
CREATE SEQUENCE port_zones AS integer MINVALUE 32768 MAXVALUE 65535 CYCLE;

-- +goose StatementBegin
CREATE FUNCTION free_port_zone(host uuid) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    candidate integer;
BEGIN
    FOR i IN 32768..65535 LOOP
        candidate := nextval('port_zones');
        IF NOT EXISTS (SELECT FROM bindings WHERE host_id = host AND zone = candidate) THEN
            RETURN candidate;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'no zone is free' USING ERRCODE = 'unique_violation', CONSTRAINT = 'bindings_zone';
END $$;
-- +goose StatementEnd

ALTER TABLE bindings ADD COLUMN zone integer;
UPDATE bindings b SET zone = n.zone
    FROM (SELECT port_id, 32767 + row_number() OVER (PARTITION BY host_id ORDER BY port_id) AS zone FROM bindings) AS n
    WHERE n.port_id = b.port_id;
ALTER TABLE bindings
    ALTER COLUMN zone SET NOT NULL,
    ADD CONSTRAINT bindings_zone_check CHECK (zone BETWEEN 32768 AND 65535),
    ADD CONSTRAINT bindings_zone UNIQUE (host_id, zone);
DROP INDEX bindings_host; -- the constraint's finds them too

-- +goose StatementBegin
CREATE FUNCTION give_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.zone := free_port_zone(NEW.host_id);
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER give_zone BEFORE INSERT ON bindings FOR EACH ROW EXECUTE FUNCTION give_zone();
CREATE TRIGGER give_zone_anew BEFORE UPDATE ON bindings FOR EACH ROW WHEN (OLD.host_id <> NEW.host_id) EXECUTE FUNCTION give_zone();

-- Ports that were made before there were groups are in none, which would now allow them nothing. Others that are in none were
-- asked for so.
CREATE TEMPORARY TABLE older ON COMMIT DROP AS
    SELECT p.id, p.project_id FROM ports p
    WHERE p.role = '' AND NOT p.unsecured AND NOT EXISTS (SELECT FROM port_security_groups m WHERE m.port_id = p.id)
      AND p.created_at < (SELECT max(tstamp) FROM goose_db_version WHERE version_id = 5);
INSERT INTO security_groups (id, project_id, name, description, is_default)
    SELECT gen_random_uuid(), project_id, 'default', 'Default security group', true FROM (SELECT DISTINCT project_id FROM older) AS o
    ON CONFLICT (project_id) WHERE is_default DO NOTHING;
INSERT INTO security_group_rules (id, group_id, project_id, description, direction, ethertype, remote_group_id, effect)
    SELECT gen_random_uuid(), g.id, g.project_id, '', d.direction, f.family, CASE d.direction WHEN 'ingress' THEN g.id END,
           d.direction || ' ' || f.family || ' any -1 -1 ' || CASE d.direction WHEN 'ingress' THEN g.id::text ELSE 'anybody' END
    FROM security_groups g, (VALUES ('egress'), ('ingress')) AS d(direction), (VALUES ('IPv4'), ('IPv6')) AS f(family)
    WHERE g.is_default AND g.project_id IN (SELECT project_id FROM older)
      AND NOT EXISTS (SELECT FROM security_group_rules r WHERE r.group_id = g.id) AND g.revision = 0;
INSERT INTO port_security_groups (port_id, group_id)
    SELECT o.id, g.id FROM older o JOIN security_groups g ON g.project_id = o.project_id AND g.is_default;

-- +goose Down
CREATE INDEX bindings_host ON bindings (host_id);
DROP TRIGGER give_zone ON bindings;
DROP TRIGGER give_zone_anew ON bindings;
ALTER TABLE bindings DROP COLUMN zone;
DROP FUNCTION give_zone, free_port_zone;
DROP SEQUENCE port_zones;
