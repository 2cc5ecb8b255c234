package ovsdb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"

	"github.com/ovn-org/libovsdb/ovsdb"

	"github.com/signalbox-sdn/signalbox"
)

// mark is the external_ids key of the rows that we made; its value says what for.
const mark = "signalbox"

// Want is what a host's OVSDB should hold of ours. The zero Want is a host without tunnels and
// physical networks.
type Want struct {
	Tunnels []signalbox.NetworkType // one port on br-int for each type
	LocalIP netip.Addr              // where they end; needed with Tunnels
	// Patches is physical network -> bridge: a pair of patch ports joins each bridge to br-int. A
	// bridge that does not exist is passed over; State.Problems says so.
	Patches map[string]string
}

// TunnelPortName is the name of the port on br-int for the tunnels of type t.
func TunnelPortName(t signalbox.NetworkType) string { return "sb-" + string(t) }

// PatchPortNames are the names of the two patch ports that join bridge to br-int, as Neutron names
// them: int-BRIDGE on br-int, phy-BRIDGE on the bridge. Where that is over 15 bytes, the most that
// OpenFlow shows of a name, the end gives way to a hash of the bridge's name.
func PatchPortNames(bridge string) (onIntegration, onBridge string) {
	const prefix = 4
	if len(bridge) > maxDeviceName-prefix {
		sum := sha256.Sum256([]byte(bridge))
		hash := hex.EncodeToString(sum[:3])
		bridge = bridge[:maxDeviceName-prefix-len(hash)] + hash
	}
	return "int-" + bridge, "phy-" + bridge
}

// Ensure makes what is missing of want, mends what differs, and removes ports of ours that are no
// longer wanted, in one transaction; none when there is nothing to do. br-int itself becomes
// fail_mode=secure and other_config:disable-in-band=true. It needs a running Run that has reported.
//
// Errors: Invalid for a Want that cannot be; NotFound without a br-int; Conflict when a name of ours
// is taken by somebody else's port (the rest is made all the same); Unavailable otherwise.
func (c *Client) Ensure(ctx context.Context, want Want) error {
	c.ensuring.Lock()
	defer c.ensuring.Unlock()
	ops, err := c.plan(want)
	var taken *signalbox.Error
	if err != nil && !(errors.As(err, &taken) && taken.Kind == signalbox.Conflict) {
		return err
	}
	if len(ops) == 0 {
		return err
	}
	return errors.Join(err, c.transact(ctx, ops))
}

// plan is the operations from what is there to what is wanted.
func (c *Client) plan(want Want) ([]ovsdb.Operation, error) {
	if len(want.Tunnels) > 0 && !want.LocalIP.Is4() {
		return nil, signalbox.Errorf(signalbox.Invalid, "", "ensure ovsdb: tunnels need an IPv4 address to end at")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ready {
		return nil, signalbox.Errorf(signalbox.Unavailable, "", "ensure ovsdb: the host has not been heard yet")
	}
	id, bridge := c.mirror.bridge(IntegrationBridge)
	if bridge == nil {
		return nil, signalbox.Errorf(signalbox.NotFound, "", "ensure ovsdb: there is no bridge %s", IntegrationBridge)
	}
	p := planner{mirror: c.mirror}
	p.settleBridge(id, bridge)
	err := p.settlePorts(want.ports(func(name string) bool {
		_, b := c.mirror.bridge(name)
		return b != nil
	}))
	return p.ops, err
}

// portSpec is one port of ours, with its one interface.
type portSpec struct {
	purpose string // the value of external_ids:signalbox
	kind    string
	options map[string]string
}

// ports is want as bridge name -> port name -> port, without the bridges that are not there.
func (w Want) ports(exists func(bridge string) bool) map[string]map[string]portSpec {
	onIntegration := make(map[string]portSpec)
	wanted := map[string]map[string]portSpec{IntegrationBridge: onIntegration}
	for _, t := range w.Tunnels {
		onIntegration[TunnelPortName(t)] = portSpec{purpose: "tunnel", kind: string(t), options: map[string]string{
			"key": "flow", "remote_ip": "flow", "local_ip": w.LocalIP.String(),
		}}
	}
	for _, bridge := range w.Patches {
		if bridge == IntegrationBridge || !exists(bridge) {
			continue
		}
		here, there := PatchPortNames(bridge)
		onIntegration[here] = portSpec{purpose: "patch", kind: "patch", options: map[string]string{"peer": there}}
		wanted[bridge] = map[string]portSpec{
			there: {purpose: "patch", kind: "patch", options: map[string]string{"peer": here}},
		}
	}
	return wanted
}

// planner gathers the operations of one transaction.
type planner struct {
	mirror *mirror
	ops    []ovsdb.Operation
	made   int // rows inserted so far, for their names within the transaction
}

func (p *planner) settleBridge(id string, b *bridgeRow) {
	if b.failMode != "secure" {
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Bridge", Where: rowIs(id),
			Row: ovsdb.Row{"fail_mode": "secure"}})
	}
	// In-band control would put hidden flows above ours.
	const inBand = "disable-in-band"
	if b.otherConfig[inBand] != "true" {
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Bridge", Where: rowIs(id),
			Mutations: []ovsdb.Mutation{
				{Column: "other_config", Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: []any{inBand}}},
				{Column: "other_config", Mutator: ovsdb.MutateOperationInsert, Value: ovsMap(map[string]string{inBand: "true"})},
			}})
	}
}

// settlePorts visits every bridge, for ports of ours may be anywhere, and reports the names that are taken.
func (p *planner) settlePorts(wanted map[string]map[string]portSpec) error {
	ids := make(map[string]string, len(p.mirror.bridges)) // by name, for a stable order
	for id, b := range p.mirror.bridges {
		ids[b.name] = id
	}
	owned := make(map[string]bool)
	for _, name := range sortedKeys(ids) {
		p.settleOwned(ids[name], wanted[name], owned)
	}
	foreign := p.foreignNames()
	var taken []error
	for _, bridge := range sortedKeys(ids) {
		for _, name := range sortedKeys(wanted[bridge]) {
			switch {
			case owned[name]:
			case foreign[name]:
				taken = append(taken, signalbox.Errorf(signalbox.Conflict, "",
					"ensure ovsdb: port %s exists and is not ours", name))
			default:
				p.insert(ids[bridge], name, wanted[bridge][name])
			}
		}
	}
	return errors.Join(taken...)
}

// settleOwned mends or removes the ports of ours on one bridge, and notes the ones that stay.
func (p *planner) settleOwned(bridge string, wanted map[string]portSpec, stay map[string]bool) {
	var gone []any
	for _, id := range sortedKeys(p.mirror.bridges[bridge].ports) {
		port := p.mirror.ports[id]
		if port == nil || !port.ours() {
			continue
		}
		spec, ok := wanted[port.name]
		iface, row := p.soleInterface(port)
		if !ok || row == nil {
			gone = append(gone, ovsdb.UUID{GoUUID: id})
			continue
		}
		stay[port.name] = true
		if row.kind != spec.kind || !maps.Equal(row.options, spec.options) {
			p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationUpdate, Table: "Interface", Where: rowIs(iface),
				Row: ovsdb.Row{"type": spec.kind, "options": ovsMap(spec.options)}})
		}
	}
	if len(gone) > 0 {
		p.ops = append(p.ops, ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Bridge", Where: rowIs(bridge),
			Mutations: []ovsdb.Mutation{{Column: "ports", Mutator: ovsdb.MutateOperationDelete, Value: ovsdb.OvsSet{GoSet: gone}}}})
	}
}

// soleInterface is the interface of a port that has just one; nil for any other port.
func (p *planner) soleInterface(port *portRow) (id string, row *interfaceRow) {
	if len(port.interfaces) != 1 {
		return "", nil
	}
	for id = range port.interfaces {
		row = p.mirror.interfaces[id]
	}
	return id, row
}

// foreignNames are the names of ports and interfaces that are not ours: both are unique on a host.
func (p *planner) foreignNames() map[string]bool {
	ours := make(map[string]bool)
	names := make(map[string]bool)
	for _, port := range p.mirror.ports {
		if port.ours() {
			for id := range port.interfaces {
				ours[id] = true
			}
			continue
		}
		names[port.name] = true
	}
	for id, i := range p.mirror.interfaces {
		if !ours[id] {
			names[i.name] = true
		}
	}
	return names
}

func (p *planner) insert(bridge, name string, spec portSpec) {
	p.made++
	iface, port := fmt.Sprintf("interface%d", p.made), fmt.Sprintf("port%d", p.made)
	ours := ovsMap(map[string]string{mark: spec.purpose})
	p.ops = append(p.ops,
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Interface", UUIDName: iface,
			Row: ovsdb.Row{"name": name, "type": spec.kind, "options": ovsMap(spec.options), "external_ids": ours}},
		ovsdb.Operation{Op: ovsdb.OperationInsert, Table: "Port", UUIDName: port,
			Row: ovsdb.Row{"name": name, "interfaces": ovsdb.UUID{GoUUID: iface}, "external_ids": ours}},
		ovsdb.Operation{Op: ovsdb.OperationMutate, Table: "Bridge", Where: rowIs(bridge),
			Mutations: []ovsdb.Mutation{{Column: "ports", Mutator: ovsdb.MutateOperationInsert,
				Value: ovsdb.OvsSet{GoSet: []any{ovsdb.UUID{GoUUID: port}}}}}})
}

// transact sends the operations; the server does all of them or none.
func (c *Client) transact(ctx context.Context, ops []ovsdb.Operation) error {
	fail := func(err error) error {
		return &signalbox.Error{Kind: signalbox.Unavailable, Op: "ensure ovsdb", Msg: "the transaction failed", Err: err}
	}
	answer, err := c.wire.call(ctx, "transact", ovsdb.NewTransactArgs(database, ops...))
	if err != nil {
		return fail(err)
	}
	// An operation that was done answers with an object, one not reached with null; a failed commit
	// adds an element of its own (RFC 7047, section 4.1.3).
	var results []struct {
		Error   string `json:"error"`
		Details string `json:"details"`
	}
	if err := json.Unmarshal(answer, &results); err != nil {
		return fail(fmt.Errorf("the answer: %w", err))
	}
	for _, r := range results {
		if r.Error != "" {
			return fail(fmt.Errorf("%s: %s", shorten(printable(r.Error), maxText), shorten(printable(r.Details), maxText)))
		}
	}
	if len(results) < len(ops) {
		return fail(fmt.Errorf("%d results for %d operations", len(results), len(ops)))
	}
	return nil
}

func rowIs(id string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: id})}
}

func ovsMap(m map[string]string) ovsdb.OvsMap {
	out := ovsdb.OvsMap{GoMap: make(map[any]any, len(m))}
	for k, v := range m {
		out.GoMap[k] = v
	}
	return out
}
