-- Ports, of which there are most, are listed in the order of their creation from where the last page ended. The index is of a
-- value that only lists are sorted by: it is not taken for what another finds, and sorts by the column.

-- +goose Up
CREATE INDEX ports_listed ON ports (timezone('UTC', created_at), id);

-- +goose Down
DROP INDEX ports_listed;
