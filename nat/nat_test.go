package nat

import (
	"testing"

	"github.com/google/uuid"

	"github.com/signalbox-sdn/signalbox"
)

func TestTranslatorIsTheVMsHostOrElseTheGatewayHost(t *testing.T) {
	with := func(n byte) *signalbox.Host {
		return &signalbox.Host{ID: uuid.UUID{15: n}, Mappings: map[string]string{"ext": "br-ex"}}
	}
	without := func(n byte) *signalbox.Host {
		return &signalbox.Host{ID: uuid.UUID{15: n}, Mappings: map[string]string{"other": "br-other"}}
	}
	on := func(t signalbox.NetworkType) *signalbox.Network {
		return &signalbox.Network{External: true, Segment: signalbox.Segment{Type: t, Physical: "ext", ID: 7}}
	}
	for _, tt := range []struct {
		fact           string
		fixed, gateway *signalbox.Host
		network        *signalbox.Network
		want           byte
	}{
		{"own_host", with(1), with(2), on(signalbox.Flat), 1},
		{"own_host_without_a_gateway_host", with(1), nil, on(signalbox.VLAN), 1},
		{"gateway_host", without(1), with(2), on(signalbox.VLAN), 2},
		{"gateway_host_of_an_unbound_port", nil, with(2), on(signalbox.Flat), 2},
		{"nobody_has_it", without(1), without(2), on(signalbox.Flat), 0},
		{"nobody_known", nil, nil, on(signalbox.Flat), 0},
		{"tunnels_lead_nowhere", with(1), with(2), on(signalbox.VXLAN), 0},
		{"local_leads_nowhere", with(1), with(2), on(signalbox.Local), 0},
		{"no_network", with(1), with(2), nil, 0},
	} {
		t.Run(tt.fact, func(t *testing.T) {
			if got := Translator(tt.fixed, tt.gateway, tt.network); got != (uuid.UUID{15: tt.want}) {
				t.Errorf("host %v, want %d", got, tt.want)
			}
		})
	}
}
