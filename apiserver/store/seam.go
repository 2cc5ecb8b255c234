package store

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

var errLater = errors.New("store: arrives with the next commit")

type Options struct {
	MaxConns int
	Log      *slog.Logger
}
type DB struct{}
type Tx struct{}

func Open(ctx context.Context, dsn string, o Options) (*DB, error)              { return nil, errLater }
func (db *DB) Migrate(ctx context.Context) error                                { return errLater }
func (db *DB) Close() error                                                     { return errLater }
func (db *DB) Ping(ctx context.Context) error                                   { return errLater }
func (db *DB) Write(ctx context.Context, fn func(*Tx) error) error              { return errLater }
func (db *DB) Read(ctx context.Context, fn func(*Tx) error) error               { return errLater }
func (db *DB) Follow(ctx context.Context, fn func(signalbox.Delta) error) error { return errLater }
func (db *DB) SaveHost(ctx context.Context, h signalbox.Host) (signalbox.Host, error) {
	return h, errLater
}
func (db *DB) Bind(ctx context.Context, b []signalbox.Binding) error   { return errLater }
func (db *DB) Unbind(ctx context.Context, b []signalbox.Binding) error { return errLater }
func (db *DB) SetStatus(ctx context.Context, s map[uuid.UUID]signalbox.Status) error {
	return errLater
}

// InsertNetwork fills Key and Meta. The segment is not written here: see ClaimSegment and PickSegment.
func (tx *Tx) InsertNetwork(ctx context.Context, n *signalbox.Network) error { return errLater }
func (tx *Tx) Network(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	return nil, errLater
}
func (tx *Tx) NetworkForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	return nil, errLater
}
func (tx *Tx) NetworkForShare(ctx context.Context, id uuid.UUID) (*signalbox.Network, error) {
	return nil, errLater
}
func (tx *Tx) Networks(ctx context.Context, q Query) ([]signalbox.Network, error) {
	return nil, errLater
}
func (tx *Tx) UpdateNetwork(ctx context.Context, n *signalbox.Network) error { return errLater }

// DeleteNetwork also deletes the network's subnets and segment. Conflict ReasonNetworkInUse while any
// port is left, DHCP ports among them: delete those first.
func (tx *Tx) DeleteNetwork(ctx context.Context, id uuid.UUID) error { return errLater }

func (tx *Tx) InsertSubnet(ctx context.Context, s *signalbox.Subnet) error { return errLater }
func (tx *Tx) Subnet(ctx context.Context, id uuid.UUID) (*signalbox.Subnet, error) {
	return nil, errLater
}
func (tx *Tx) SubnetForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Subnet, error) {
	return nil, errLater
}
func (tx *Tx) SubnetForShare(ctx context.Context, id uuid.UUID) (*signalbox.Subnet, error) {
	return nil, errLater
}
func (tx *Tx) Subnets(ctx context.Context, q Query) ([]signalbox.Subnet, error) { return nil, errLater }
func (tx *Tx) UpdateSubnet(ctx context.Context, s *signalbox.Subnet) error      { return errLater }

// DeleteSubnet: Conflict ReasonSubnetInUse while any port has an address of it.
func (tx *Tx) DeleteSubnet(ctx context.Context, id uuid.UUID) error { return errLater }

func (tx *Tx) InsertPort(ctx context.Context, p *signalbox.Port) error { return errLater }
func (tx *Tx) Port(ctx context.Context, id uuid.UUID) (*signalbox.Port, error) {
	return nil, errLater
}
func (tx *Tx) PortForUpdate(ctx context.Context, id uuid.UUID) (*signalbox.Port, error) {
	return nil, errLater
}
func (tx *Tx) PortForShare(ctx context.Context, id uuid.UUID) (*signalbox.Port, error) {
	return nil, errLater
}
func (tx *Tx) Ports(ctx context.Context, q Query) ([]signalbox.Port, error) { return nil, errLater }
func (tx *Tx) UpdatePort(ctx context.Context, p *signalbox.Port) error      { return errLater }
func (tx *Tx) DeletePort(ctx context.Context, id uuid.UUID) error           { return errLater }

// ClaimSegment gives a network the segment that was asked for; the network's row may come before or
// after it in the transaction.
func (tx *Tx) ClaimSegment(ctx context.Context, seg signalbox.Segment, network uuid.UUID) error {
	return errLater
}

// PickSegment finds a free segment in the ranges (inclusive) and claims it for the network.
func (tx *Tx) PickSegment(ctx context.Context, network uuid.UUID, typ signalbox.NetworkType, physical string, ranges [][2]uint32, rnd func(n int) int) (signalbox.Segment, error) {
	return signalbox.Segment{}, errLater
}

// TakeAddress takes the lowest free address of the subnet's pools.
func (tx *Tx) TakeAddress(ctx context.Context, subnet uuid.UUID) (netip.Addr, error) {
	return netip.Addr{}, errLater
}
