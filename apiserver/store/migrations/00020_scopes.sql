-- A network is in the address scope of the pools that its subnets are cut from, and routers keep scopes apart: a change of that
-- is news of the network.

-- +goose Up

-- +goose StatementBegin
CREATE FUNCTION note_cut() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) VALUES ('network', coalesce(NEW.network_id, OLD.network_id));
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER note_cut AFTER INSERT ON subnets FOR EACH ROW WHEN (NEW.subnetpool_id IS NOT NULL) EXECUTE FUNCTION note_cut();
CREATE TRIGGER note_recut AFTER UPDATE ON subnets FOR EACH ROW WHEN (OLD.subnetpool_id IS DISTINCT FROM NEW.subnetpool_id)
    EXECUTE FUNCTION note_cut();
CREATE TRIGGER note_uncut AFTER DELETE ON subnets FOR EACH ROW WHEN (OLD.subnetpool_id IS NOT NULL) EXECUTE FUNCTION note_cut();

-- +goose StatementBegin
CREATE FUNCTION note_scope() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO changes (kind, id) SELECT DISTINCT 'network', network_id FROM subnets WHERE subnetpool_id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER note_scope AFTER UPDATE ON subnetpools FOR EACH ROW
    WHEN (OLD.address_scope_id IS DISTINCT FROM NEW.address_scope_id) EXECUTE FUNCTION note_scope();

-- +goose Down
DROP TRIGGER note_scope ON subnetpools;
DROP TRIGGER note_cut ON subnets;
DROP TRIGGER note_recut ON subnets;
DROP TRIGGER note_uncut ON subnets;
DROP FUNCTION note_cut, note_scope;
