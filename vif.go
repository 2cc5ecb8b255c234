package signalbox

// VNICType is what kind of interface a VM is to have (Neutron's binding:vnic_type).
type VNICType string

// VNICNormal is an interface of the integration bridge, the only kind that is wired here.
const VNICNormal VNICType = "normal"

// VNICTypes are all that Neutron knows.
func VNICTypes() []VNICType {
	return []VNICType{VNICNormal, "macvtap", "direct", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
		"accelerator-direct", "accelerator-direct-physical", "remote-managed"}
}

// VIFType is how a VM's interface is to be plugged in (Neutron's binding:vif_type).
type VIFType string

// The VIF types.
const (
	VIFUnbound VIFType = "unbound"        // no host has been named yet
	VIFOVS     VIFType = "ovs"            // into the host's integration bridge
	VIFFailed  VIFType = "binding_failed" // not at all: the host is none of ours, or the VNIC type is not wired
)

// VIF is what a hypervisor asks of a port, and what it is told. It makes no flows: where a port is, the switches say.
type VIF struct {
	Host    string   // the host that the port is asked to be on, by name; "": not said
	VNIC    VNICType // "" is VNICNormal
	Profile string   // a JSON object, of which we know nothing; "" is {}

	// Read only, and no part of the change feed:
	HeldBy   string // the name of the host that holds the port; "": none
	Datapath string // the datapath type of HostName's bridge; "": there is no such host
}

// PortBinding is a port's VIF as it is, or could be, on one host. A port has one that counts, which is the port's own VIF, and for a
// live migration others that wait to become it.
type PortBinding struct {
	VIF
	Active bool
}

// Status is Active, or Inactive while the binding waits.
func (b *PortBinding) Status() Status {
	if b.Active {
		return Active
	}
	return Inactive
}

// HostName is the host to tell of: the one that was asked for, or else the one that holds the port.
func (v *VIF) HostName() string {
	if v.Host != "" {
		return v.Host
	}
	return v.HeldBy
}

// Type is how the port is to be plugged in.
func (v *VIF) Type() VIFType {
	switch {
	case v.HostName() == "":
		return VIFUnbound
	case v.Datapath == "", v.VNIC != VNICNormal && v.VNIC != "":
		return VIFFailed
	}
	return VIFOVS
}
