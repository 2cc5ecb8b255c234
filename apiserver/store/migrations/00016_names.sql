-- The names of ports, and the domains that networks keep them in.

-- +goose Up

ALTER TABLE networks ADD COLUMN dns_domain text NOT NULL DEFAULT '';
CREATE INDEX networks_dns_domain ON networks (dns_domain) WHERE dns_domain <> '';

ALTER TABLE ports ADD COLUMN dns_name text NOT NULL DEFAULT '';
CREATE INDEX ports_dns_name ON ports (dns_name) WHERE dns_name <> '';

-- +goose Down
ALTER TABLE ports DROP COLUMN dns_name;
ALTER TABLE networks DROP COLUMN dns_domain;
