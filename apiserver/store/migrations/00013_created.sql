-- The order of creation is asked for of what one network, router or project has, which other indexes find. An index of it alone
-- would be taken for that as well, while tables are small.

-- +goose Up
DROP INDEX networks_created, subnets_created, ports_created, routers_created, floatingips_created, security_groups_created;

-- The revision that a router gets with its interfaces is no news, as that of a network with its subnets is none.
DROP TRIGGER note_update ON routers;
CREATE TRIGGER note_update AFTER UPDATE ON routers FOR EACH ROW
    WHEN (to_jsonb(OLD) - '{tags,revision,updated_at}'::text[] <> to_jsonb(NEW) - '{tags,revision,updated_at}'::text[])
    EXECUTE FUNCTION note_change('router');

-- +goose Down
DROP TRIGGER note_update ON routers;
CREATE TRIGGER note_update AFTER UPDATE ON routers FOR EACH ROW WHEN (OLD.tags = NEW.tags)
    EXECUTE FUNCTION note_change('router');
CREATE INDEX networks_created        ON networks        (created_at, id);
CREATE INDEX subnets_created         ON subnets         (created_at, id);
CREATE INDEX ports_created           ON ports           (created_at, id);
CREATE INDEX routers_created         ON routers         (created_at, id);
CREATE INDEX floatingips_created     ON floatingips     (created_at, id);
CREATE INDEX security_groups_created ON security_groups (created_at, id);
