-- What ports may say beside their own addresses, what DHCP tells them beside what their subnets say, and where
-- hypervisors ask them to be.

-- +goose Up

ALTER TABLE networks ADD COLUMN unsecured boolean NOT NULL DEFAULT false;

ALTER TABLE ports
    ADD COLUMN unsecured     boolean   NOT NULL DEFAULT false,
    ADD COLUMN pair_macs     macaddr[] NOT NULL DEFAULT '{}',
    ADD COLUMN pair_prefixes cidr[]    NOT NULL DEFAULT '{}',
    ADD COLUMN dhcp_options  text[]    NOT NULL DEFAULT '{}', -- '4 mtu 1400': IP version, name, value
    ADD COLUMN host          text      NOT NULL DEFAULT '',   -- asked for, by name: of one that may not be there
    ADD COLUMN vnic_type     text      NOT NULL DEFAULT 'normal',
    ADD COLUMN profile       text      NOT NULL DEFAULT '{}', -- JSON, as it is shown
    ADD CONSTRAINT ports_pairs CHECK (cardinality(pair_macs) = cardinality(pair_prefixes)),
    ADD CONSTRAINT ports_pairs_secured CHECK (NOT unsecured OR cardinality(pair_macs) = 0);
CREATE INDEX ports_host ON ports (host) WHERE host <> '';

ALTER TABLE hosts ADD COLUMN datapath_type text NOT NULL DEFAULT 'system';
CREATE INDEX hosts_name ON hosts (name);

-- +goose Down
DROP INDEX hosts_name;
ALTER TABLE hosts DROP COLUMN datapath_type;
ALTER TABLE ports
    DROP COLUMN unsecured, DROP COLUMN pair_macs, DROP COLUMN pair_prefixes, DROP COLUMN dhcp_options,
    DROP COLUMN host, DROP COLUMN vnic_type, DROP COLUMN profile;
ALTER TABLE networks DROP COLUMN unsecured;
