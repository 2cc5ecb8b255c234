-- Tags, indexes in the orders that lists are read in, and revisions that follow from other rows.

-- +goose Up

-- A resource that can be tagged has this column and this index. The index holds the rows that have tags, so that the
-- others cost it nothing; who filters by tags says so (list.go).
ALTER TABLE networks    ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
ALTER TABLE subnets     ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
ALTER TABLE ports       ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
ALTER TABLE routers     ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
ALTER TABLE floatingips ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
CREATE INDEX networks_tags    ON networks    USING gin (tags) WHERE tags <> '{}';
CREATE INDEX subnets_tags     ON subnets     USING gin (tags) WHERE tags <> '{}';
CREATE INDEX ports_tags       ON ports       USING gin (tags) WHERE tags <> '{}';
CREATE INDEX routers_tags     ON routers     USING gin (tags) WHERE tags <> '{}';
CREATE INDEX floatingips_tags ON floatingips USING gin (tags) WHERE tags <> '{}';

-- Lists are sorted by a key and then by id: a page is read from where the last one ended.
DROP INDEX networks_name, networks_project, subnets_name, subnets_project, ports_name, ports_project,
           routers_name, routers_project, floatingips_project;
CREATE INDEX networks_name       ON networks    (name, id);
CREATE INDEX networks_project    ON networks    (project_id, id);
CREATE INDEX networks_created    ON networks    (created_at, id);
CREATE INDEX subnets_name        ON subnets     (name, id);
CREATE INDEX subnets_project     ON subnets     (project_id, id);
CREATE INDEX subnets_created     ON subnets     (created_at, id);
CREATE INDEX ports_name          ON ports       (name, id);
CREATE INDEX ports_project       ON ports       (project_id, id);
CREATE INDEX ports_created       ON ports       (created_at, id);
CREATE INDEX routers_name        ON routers     (name, id);
CREATE INDEX routers_project     ON routers     (project_id, id);
CREATE INDEX routers_created     ON routers     (created_at, id);
CREATE INDEX floatingips_project ON floatingips (project_id, id);
CREATE INDEX floatingips_created ON floatingips (created_at, id);

-- Tags are no news to those who make flows. (An update of tags is one of nothing else: tags.go.)
DROP TRIGGER note ON networks;
DROP TRIGGER note ON subnets;
DROP TRIGGER note ON routers;
DROP TRIGGER note_update ON ports;
DROP TRIGGER note_update ON floatingips;
CREATE TRIGGER note AFTER INSERT OR DELETE ON networks FOR EACH ROW EXECUTE FUNCTION note_change('network');
CREATE TRIGGER note AFTER INSERT OR DELETE ON subnets  FOR EACH ROW EXECUTE FUNCTION note_change('subnet');
CREATE TRIGGER note AFTER INSERT OR DELETE ON routers  FOR EACH ROW EXECUTE FUNCTION note_change('router');
-- Nor is the revision that a network gets with its subnets.
CREATE TRIGGER note_update AFTER UPDATE ON networks FOR EACH ROW
    WHEN (to_jsonb(OLD) - '{tags,revision,updated_at}'::text[] <> to_jsonb(NEW) - '{tags,revision,updated_at}'::text[])
    EXECUTE FUNCTION note_change('network');
CREATE TRIGGER note_update AFTER UPDATE ON subnets FOR EACH ROW WHEN (OLD.tags = NEW.tags)
    EXECUTE FUNCTION note_change('subnet');
CREATE TRIGGER note_update AFTER UPDATE ON ports FOR EACH ROW WHEN (OLD.tags = NEW.tags AND OLD.status = NEW.status)
    EXECUTE FUNCTION note_change('port');
CREATE TRIGGER note_update AFTER UPDATE ON routers FOR EACH ROW WHEN (OLD.tags = NEW.tags)
    EXECUTE FUNCTION note_change('router');
CREATE TRIGGER note_update AFTER UPDATE ON floatingips FOR EACH ROW
    WHEN (OLD.tags = NEW.tags AND (OLD.status = NEW.status OR OLD.fixed_ip IS DISTINCT FROM NEW.fixed_ip
          OR OLD.subnet_id IS DISTINCT FROM NEW.subnet_id OR OLD.router_id IS DISTINCT FROM NEW.router_id))
    EXECUTE FUNCTION note_change('floatingip');

-- +goose StatementBegin
CREATE FUNCTION note_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) VALUES ('network', NEW.network_id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER note AFTER UPDATE ON segments FOR EACH ROW EXECUTE FUNCTION note_segment();

-- A network's revision tells of its subnets, too, which are among its attributes.
-- +goose StatementBegin
CREATE FUNCTION revise_network() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE networks SET revision = revision + 1, updated_at = clock_timestamp() WHERE id = coalesce(NEW.network_id, OLD.network_id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER revise AFTER INSERT OR UPDATE OR DELETE ON subnets FOR EACH ROW EXECUTE FUNCTION revise_network();

-- +goose Down
DROP TRIGGER revise ON subnets;
DROP FUNCTION revise_network;
DROP TRIGGER note ON segments;
DROP FUNCTION note_segment;
DROP TRIGGER note ON networks;
DROP TRIGGER note ON subnets;
DROP TRIGGER note ON routers;
DROP TRIGGER note_update ON networks;
DROP TRIGGER note_update ON subnets;
DROP TRIGGER note_update ON routers;
DROP TRIGGER note_update ON ports;
DROP TRIGGER note_update ON floatingips;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON networks FOR EACH ROW EXECUTE FUNCTION note_change('network');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON subnets  FOR EACH ROW EXECUTE FUNCTION note_change('subnet');
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON routers  FOR EACH ROW EXECUTE FUNCTION note_change('router');
CREATE TRIGGER note_update AFTER UPDATE ON ports FOR EACH ROW WHEN (OLD.status = NEW.status)
    EXECUTE FUNCTION note_change('port');
CREATE TRIGGER note_update AFTER UPDATE ON floatingips FOR EACH ROW
    WHEN (OLD.status = NEW.status OR OLD.fixed_ip IS DISTINCT FROM NEW.fixed_ip
          OR OLD.subnet_id IS DISTINCT FROM NEW.subnet_id OR OLD.router_id IS DISTINCT FROM NEW.router_id)
    EXECUTE FUNCTION note_change('floatingip');
DROP INDEX networks_name, networks_project, networks_created, subnets_name, subnets_project, subnets_created,
           ports_name, ports_project, ports_created, routers_name, routers_project, routers_created,
           floatingips_project, floatingips_created;
CREATE INDEX networks_project    ON networks (project_id);
CREATE INDEX networks_name       ON networks (name);
CREATE INDEX subnets_project     ON subnets (project_id);
CREATE INDEX subnets_name        ON subnets (name);
CREATE INDEX ports_project       ON ports (project_id);
CREATE INDEX ports_name          ON ports (name);
CREATE INDEX routers_project     ON routers (project_id);
CREATE INDEX routers_name        ON routers (name);
CREATE INDEX floatingips_project ON floatingips (project_id);
ALTER TABLE networks    DROP COLUMN tags;
ALTER TABLE subnets     DROP COLUMN tags;
ALTER TABLE ports       DROP COLUMN tags;
ALTER TABLE routers     DROP COLUMN tags;
ALTER TABLE floatingips DROP COLUMN tags;
