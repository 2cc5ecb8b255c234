package wire

import (
	"cmp"

	"github.com/signalbox-sdn/signalbox"
)

// Bindings is the binding of a port to a host, of the API reference. Whom it belongs to is said, if at all, for nothing: it is the port's
// owner.
func Bindings() *Resource[signalbox.PortBinding] {
	type B = signalbox.PortBinding
	return &Resource[B]{Name: "binding", Collection: "bindings", Attributes: []Attribute[B]{
		{Name: "host", Kind: text(255), Access: Create | Required | Update | Filter, Value: func(b *B) any { return b.HostName() }},
		{Name: "vif_type", Kind: oneOf(signalbox.VIFUnbound, signalbox.VIFOVS, signalbox.VIFFailed), Access: Filter, Value: func(b *B) any { return b.Type() }},
		{Name: "vif_details", Kind: vifDetails(), Value: func(b *B) any { return b.VIF }},
		{Name: "vnic_type", Kind: oneOf(signalbox.VNICTypes()...), Access: Create | Update | Filter, Default: signalbox.VNICNormal, Value: func(b *B) any { return cmp.Or(b.VNIC, signalbox.VNICNormal) }},
		{Name: "profile", Kind: profile(), Access: Create | Update, Value: func(b *B) any { return b.Profile }},
		{Name: "status", Kind: oneOf(signalbox.Active, signalbox.Inactive), Access: Filter, Value: func(b *B) any { return b.Status() }},
		{Name: "project_id", Kind: project(), Access: Create | Unshown, Value: func(*B) any { return "" }},
		{Name: "tenant_id", Alias: "project_id", Kind: project(), Access: Create | Unshown, Value: func(*B) any { return "" }},
	}}
}
