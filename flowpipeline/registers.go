package flowpipeline

import "github.com/signalbox-sdn/signalbox/flowpipeline/flow"

// What the tables tell each other about a packet. Every bit of a register that flows use is named here,
// with the tables that it lives in; a test refuses overlap. They are never written at run time.
var (
	// Network is the network that the packet is on: its signalbox.NetworkKey. From classify to output.
	Network = flow.Subfield{Field: flow.Reg0, Off: 0, Len: 32}
	// SourcePort is the port of this host that sent the packet: its signalbox.PortKey; 0 when it came
	// from the fabric. From classify to output.
	SourcePort = flow.Subfield{Field: flow.Reg1, Off: 0, Len: 32}
	// TargetPort is the port of this host that a packet, or a copy of it, is for: its signalbox.PortKey.
	// From switching or flood to output.
	TargetPort = flow.Subfield{Field: flow.Reg2, Off: 0, Len: 32}
	// Fabric is 1 when the packet came from another host or from a physical network: it goes to ports
	// of this host only. From classify to flood.
	Fabric = flow.Subfield{Field: flow.Reg3, Off: 0, Len: 1}
	// Piece is the part of a network's flood list that is being read. From switching to flood.
	Piece = flow.Subfield{Field: flow.Reg3, Off: 16, Len: 16}
	// Punt says to the controller why it gets a packet: a PuntReason. From the table that punts to the packet-in.
	Punt = flow.Subfield{Field: flow.Reg4, Off: 0, Len: 8}
)

// Registers is every named subfield, by name.
func Registers() map[string]flow.Subfield {
	return map[string]flow.Subfield{
		"network": Network, "source_port": SourcePort, "target_port": TargetPort,
		"fabric": Fabric, "piece": Piece, "punt": Punt,
	}
}

// PuntReason is why a packet is at the controller.
type PuntReason uint8

// The reasons.
const (
	PuntFirstPacket PuntReason = 1 // from an interface that no port is known for: its source MAC may tell
	PuntDHCP        PuntReason = 2 // a DHCP request of a port that has an address from a subnet with DHCP
)

func (p PuntReason) String() string {
	switch p {
	case PuntFirstPacket:
		return "first packet"
	case PuntDHCP:
		return "DHCP"
	}
	return "unknown"
}
