-- What a floating IP is to be called outside. Kept and shown; nothing here publishes it.

-- +goose Up
ALTER TABLE floatingips ADD COLUMN dns_name text NOT NULL DEFAULT '', ADD COLUMN dns_domain text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE floatingips DROP COLUMN dns_name, DROP COLUMN dns_domain;
