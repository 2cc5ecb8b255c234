-- Tags of security groups, and the revision that a router gets with its interfaces.

-- +goose Up

ALTER TABLE security_groups ADD COLUMN tags text[] NOT NULL DEFAULT '{}';
CREATE INDEX security_groups_tags ON security_groups USING gin (tags) WHERE tags <> '{}';
DROP INDEX security_groups_name, security_groups_project;
CREATE INDEX security_groups_name    ON security_groups (name, id);
CREATE INDEX security_groups_project ON security_groups (project_id, id);
CREATE INDEX security_groups_created ON security_groups (created_at, id);
DROP TRIGGER note ON security_groups;
CREATE TRIGGER note AFTER INSERT OR DELETE ON security_groups FOR EACH ROW EXECUTE FUNCTION note_change('security_group');
CREATE TRIGGER note_update AFTER UPDATE ON security_groups FOR EACH ROW WHEN (OLD.tags = NEW.tags)
    EXECUTE FUNCTION note_change('security_group');

-- The subnets of one interface come and go in one statement.
-- +goose StatementBegin
CREATE FUNCTION revise_router() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE routers SET revision = revision + 1, updated_at = clock_timestamp() WHERE id IN (SELECT router_id FROM touched);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER revise_inserted AFTER INSERT ON router_subnets REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION revise_router();
CREATE TRIGGER revise_deleted AFTER DELETE ON router_subnets REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION revise_router();

-- +goose Down
DROP TRIGGER revise_inserted ON router_subnets;
DROP TRIGGER revise_deleted ON router_subnets;
DROP FUNCTION revise_router;
DROP TRIGGER note ON security_groups;
DROP TRIGGER note_update ON security_groups;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON security_groups FOR EACH ROW EXECUTE FUNCTION note_change('security_group');
DROP INDEX security_groups_name, security_groups_project, security_groups_created;
CREATE INDEX security_groups_project ON security_groups (project_id);
CREATE INDEX security_groups_name    ON security_groups (name);
ALTER TABLE security_groups DROP COLUMN tags;
