package neutron

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// overhead is how many bytes of an underlay's packet a network type takes from the inner IP packet: outer IPv4
// header (20), the tunnel's own header, and the inner Ethernet header (14). known is false for no type at all.
// Measured against Open vSwitch: 1450 and 1458 of 1500 pass for VXLAN and GRE, one byte more does not.
func overhead(t signalbox.NetworkType) (bytes int, known bool) {
	switch t {
	case signalbox.Local, signalbox.Flat, signalbox.VLAN:
		return 0, true
	case signalbox.GRE:
		return 20 + 8 + 14, true // RFC 2890: the header has a key
	case signalbox.VXLAN, signalbox.Geneve:
		return 20 + 8 + 8 + 14, true // UDP, and RFC 7348 or an RFC 8926 header without options
	}
	return 0, false
}

// maxMTU is the largest MTU a network of the type can have.
func (c *Config) maxMTU(t signalbox.NetworkType) int {
	n, _ := overhead(t)
	return c.UnderlayMTU - n
}

// assignSegment gives the network its segment: the one an admin asked for, or the next free one of the type that external
// networks get, or of those that tenants get.
func (s *Service) assignSegment(ctx context.Context, tx *store.Tx, n *signalbox.Network, spec *NetworkSpec) (err error) {
	if spec.Type == nil && spec.Physical == nil && spec.SegmentationID == nil {
		if n.External && s.cfg.ExternalNetworkType != "" {
			n.Segment, err = s.segmentOf(ctx, tx, n.ID, s.cfg.ExternalNetworkType)
		} else {
			n.Segment, err = s.tenantSegment(ctx, tx, n.ID)
		}
		return err
	}
	seg, err := s.cfg.providerSegment(spec)
	if err != nil {
		return err
	}
	if needsID := seg.Type == signalbox.VLAN || seg.Type.Tunnelled(); needsID && seg.ID == 0 {
		n.Segment, err = s.pick(ctx, tx, n.ID, seg.Type, seg.Physical)
		return err
	}
	n.Segment = seg
	return claimed(seg, tx.ClaimSegment(ctx, seg, n.ID))
}

// renumber gives a network another id on the segment that it is on. Its type and its physical network it keeps, as in Neutron.
func renumber(ctx context.Context, tx *store.Tx, n *signalbox.Network, id int) error {
	seg := n.Segment
	seg.ID = uint32(id)
	switch {
	case id == int(n.Segment.ID):
		return nil
	case seg.Type != signalbox.VLAN && !seg.Type.Tunnelled():
		return invalidInput("A network of type %s has no segmentation_id.", seg.Type)
	case id <= 0 || id > math.MaxUint32:
		return invalidInput("segmentation_id %d is out of range.", id)
	}
	if err := claimed(seg, tx.RenumberSegment(ctx, n.ID, seg.ID)); err != nil {
		return err
	}
	n.Segment = seg
	return nil
}

// tenantSegment tries the tenants' types in order; one that is exhausted gives way to the next.
func (s *Service) tenantSegment(ctx context.Context, tx *store.Tx, network uuid.UUID) (signalbox.Segment, error) {
	for _, t := range s.cfg.TenantNetworkTypes {
		seg, err := s.segmentOf(ctx, tx, network, t)
		if !because(err, signalbox.ReasonNoSegment) {
			return seg, err
		}
	}
	return signalbox.Segment{}, noSegment("No tenant network is available for allocation.")
}

// segmentOf is a free segment of a type.
func (s *Service) segmentOf(ctx context.Context, tx *store.Tx, network uuid.UUID, t signalbox.NetworkType) (signalbox.Segment, error) {
	switch t {
	case signalbox.Local:
		seg := signalbox.Segment{Type: t}
		return seg, tx.ClaimSegment(ctx, seg, network)
	case signalbox.Flat:
		return s.flatSegment(ctx, tx, network)
	default:
		return s.pick(ctx, tx, network, t, "")
	}
}

// flatSegment is the first physical network by name that carries no flat network yet. Who loses it to another between looking
// and claiming learns that the segment is in use, and tries again.
func (s *Service) flatSegment(ctx context.Context, tx *store.Tx, network uuid.UUID) (seg signalbox.Segment, err error) {
	taken, err := tx.Networks(ctx, by("provider:network_type", string(signalbox.Flat)))
	if err != nil {
		return seg, err
	}
	for _, physical := range s.cfg.FlatNetworks {
		if physical == anyPhysical || slices.ContainsFunc(taken, func(n signalbox.Network) bool { return n.Segment.Physical == physical }) {
			continue
		}
		seg = signalbox.Segment{Type: signalbox.Flat, Physical: physical}
		return seg, claimed(seg, tx.ClaimSegment(ctx, seg, network))
	}
	return seg, noSegment("Every physical network of flat_networks carries a flat network.")
}

// pick takes a free id of the ranges configured for a type, and on VLAN of a physical network or, where that
// is empty, of all in their order.
func (s *Service) pick(ctx context.Context, tx *store.Tx, network uuid.UUID, t signalbox.NetworkType, physical string) (signalbox.Segment, error) {
	sources := []PhysicalNetwork{{Ranges: s.cfg.VNIRanges}}
	switch t {
	case signalbox.GRE:
		sources[0].Ranges = s.cfg.TunnelIDRanges
	case signalbox.VLAN:
		sources = s.cfg.NetworkVLANRanges
	}
	for _, p := range sources {
		if len(p.Ranges) == 0 || physical != "" && p.Name != physical {
			continue
		}
		seg, err := tx.PickSegment(ctx, network, t, p.Name, p.Ranges, s.src.Intn)
		if !because(err, signalbox.ReasonNoSegment) {
			return seg, err
		}
	}
	return signalbox.Segment{}, noSegment("No " + string(t) + " segment is left in the configured ranges.")
}

func noSegment(msg string) error {
	return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonNoSegment, "Unable to create the network. %s", msg)
}

// claimed says which segment was in use, for the store knows only a constraint.
func claimed(seg signalbox.Segment, err error) error {
	if !because(err, signalbox.ReasonSegmentInUse) {
		return err
	}
	e := signalbox.Errorf(signalbox.Conflict, signalbox.ReasonSegmentInUse, "")
	e.Resource, e.Err = string(seg.Type), err
	switch seg.Type {
	case signalbox.VLAN:
		e.Msg = sprintf("Unable to create the network. The VLAN %d on physical network %s is in use.", seg.ID, seg.Physical)
	case signalbox.Flat:
		e.Msg = sprintf("Unable to create the flat network. Physical network %s is in use.", seg.Physical)
	default:
		e.Msg = sprintf("Unable to create the network. The tunnel ID %d is in use.", seg.ID)
	}
	return e
}

// providerSegment checks what an admin said of a network's segment. Its ID is 0 where the choice is ours.
func (c *Config) providerSegment(spec *NetworkSpec) (signalbox.Segment, error) {
	seg := signalbox.Segment{}
	if spec.Type == nil {
		return seg, invalidInput("network_type required when physical_network or segmentation_id is given.")
	}
	seg.Type = signalbox.NetworkType(*spec.Type)
	if _, known := overhead(seg.Type); !known {
		return seg, invalidInput("network_type value '%s' not supported.", seg.Type)
	}
	if spec.Physical != nil {
		seg.Physical = *spec.Physical
	}
	if err := c.checkPhysical(seg, spec); err != nil {
		return seg, err
	}
	return seg, checkID(&seg, spec)
}

func (c *Config) checkPhysical(seg signalbox.Segment, spec *NetworkSpec) error {
	switch {
	case !seg.Type.OnPhysical() && spec.Physical != nil:
		return invalidInput("physical_network prohibited for %s provider network.", seg.Type)
	case seg.Type == signalbox.Flat && seg.Physical == "":
		return invalidInput("physical_network required for flat provider network.")
	case seg.Type == signalbox.Flat && !slices.Contains(c.FlatNetworks, seg.Physical) && !slices.Contains(c.FlatNetworks, anyPhysical):
		return invalidInput("physical_network '%s' unknown for flat provider network.", seg.Physical)
	case seg.Type == signalbox.VLAN && spec.Physical == nil && spec.SegmentationID != nil:
		return invalidInput("segmentation_id requires physical_network for VLAN provider network.")
	case seg.Type == signalbox.VLAN && spec.Physical != nil && !c.carriesVLANs(seg.Physical):
		return invalidInput("physical_network '%s' unknown for VLAN provider network.", seg.Physical)
	}
	return nil
}

func (c *Config) carriesVLANs(physical string) bool {
	return slices.ContainsFunc(c.NetworkVLANRanges, func(p PhysicalNetwork) bool { return p.Name == physical })
}

func checkID(seg *signalbox.Segment, spec *NetworkSpec) error {
	if spec.SegmentationID == nil {
		return nil
	}
	most := map[signalbox.NetworkType]int{signalbox.VLAN: maxVLAN, signalbox.GRE: maxKey, signalbox.VXLAN: maxVNI, signalbox.Geneve: maxVNI}[seg.Type]
	if most == 0 {
		return invalidInput("segmentation_id prohibited for %s provider network.", seg.Type)
	}
	if *spec.SegmentationID < 1 || *spec.SegmentationID > most {
		return invalidInput("segmentation_id out of range (1 through %d).", most)
	}
	seg.ID = uint32(*spec.SegmentationID)
	return nil
}

// because reports whether err is the refusal that the reason names.
func because(err error, reason signalbox.Reason) bool {
	var e *signalbox.Error
	return errors.As(err, &e) && e.Reason == reason
}
