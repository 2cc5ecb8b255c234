package neutron

import (
	"context"
	"slices"

	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// talks reports whether a request is about what goes over a port's wire.
func (spec *PortSpec) talks() bool {
	return spec.PortSecurity != nil || spec.Pairs != nil || spec.DHCPOptions != nil || spec.Host != nil || spec.VNIC != nil ||
		len(or(spec.SecurityGroups, nil)) > 0
}

// attributes gives a port what a request says beside its name, its place in the network and its addresses. The port has
// its MAC already.
func attributes(ctx context.Context, tx *store.Tx, p *signalbox.Port, spec *PortSpec) (err error) {
	p.Unsecured = !or(spec.PortSecurity, !p.Unsecured)
	if spec.Pairs != nil {
		if p.Pairs, err = pairsOf(p, *spec.Pairs); err != nil {
			return err
		}
	}
	if p.Unsecured && len(p.Pairs) > 0 {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPairsSecured,
			"Port Security must be enabled in order to have allowed address pairs on a port.")
	}
	if spec.DHCPOptions != nil {
		p.DHCPOptions = changed(p.DHCPOptions, *spec.DHCPOptions)
	}
	set(&p.VNIC, spec.VNIC)
	set(&p.Profile, spec.Profile)
	if spec.Host != nil && *spec.Host != p.Host {
		p.Host = *spec.Host
		p.Datapath, err = tx.DatapathOf(ctx, p.HostName())
	}
	return err
}

// pairsOf fills in the port's MAC where a pair says none.
func pairsOf(p *signalbox.Port, asked []signalbox.AddressPair) ([]signalbox.AddressPair, error) {
	var out []signalbox.AddressPair
	for _, pair := range asked {
		if pair.MAC == (signalbox.MAC{}) {
			pair.MAC = p.MAC
		}
		if slices.Contains(out, pair) {
			return nil, signalbox.Errorf(signalbox.Invalid, signalbox.ReasonDuplicatePair,
				"Request contains duplicate address pair: mac_address %s ip_address %s.", pair.MAC, pair.Prefix)
		}
		out = append(out, pair)
	}
	return out, nil
}

// renamed is pairs after the port's own MAC has become another.
func renamed(pairs []signalbox.AddressPair, from, to signalbox.MAC) []signalbox.AddressPair {
	out := slices.Clone(pairs)
	for i := range out {
		if out[i].MAC == from {
			out[i].MAC = to
		}
	}
	return out
}

// changed is a port's DHCP options after some were set and others unset. Those that are not named stay.
func changed(options, asked []signalbox.DHCPOption) []signalbox.DHCPOption {
	out := slices.Clone(options)
	for _, o := range asked {
		i := slices.IndexFunc(out, func(has signalbox.DHCPOption) bool { return has.Version == o.Version && has.Name == o.Name })
		switch {
		case o.Unset && i >= 0:
			out = slices.Delete(out, i, i+1)
		case o.Unset:
		case i >= 0:
			out[i] = o
		default:
			out = append(out, o)
		}
	}
	return out
}
