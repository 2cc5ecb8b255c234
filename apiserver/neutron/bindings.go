package neutron

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// BindingSpec is what a request says of a port's binding to a host; nil is what it does not say.
type BindingSpec struct {
	Host, Profile *string
	VNIC          *signalbox.VNICType
}

// Bindings are those of a port: the active one, and then those that wait, in order of their hosts.
func (s *Service) Bindings(ctx context.Context, c signalbox.Caller, port uuid.UUID) (all []signalbox.PortBinding, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		_, err := boundPort(ctx, tx, c, port, "get_port_binding")
		if err == nil {
			_, all, err = bindingsOf(ctx, tx, port)
		}
		return err
	})
	return all, err
}

// Binding reads one.
func (s *Service) Binding(ctx context.Context, c signalbox.Caller, port uuid.UUID, host string) (*signalbox.PortBinding, error) {
	all, err := s.Bindings(ctx, c, port)
	if err != nil {
		return nil, err
	}
	return bindingTo(all, port, host)
}

// CreateBinding binds a port to one more host. It waits there, until it is activated.
func (s *Service) CreateBinding(ctx context.Context, c signalbox.Caller, port uuid.UUID, spec BindingSpec) (*signalbox.PortBinding, error) {
	b := signalbox.PortBinding{VIF: signalbox.VIF{Host: or(spec.Host, ""), VNIC: or(spec.VNIC, signalbox.VNICNormal), Profile: or(spec.Profile, "{}")}}
	err := s.changeBindings(ctx, c, port, "create_port_binding", func(tx *store.Tx, _ *signalbox.Port, all []signalbox.PortBinding) error {
		if b.Host == "" {
			return invalidInput("'' is no host.")
		}
		if _, err := bindingTo(all, port, b.Host); err == nil {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonBindingExists, "Binding for port %s on host %s already exists.", port, b.Host)
		}
		var err error
		if b.Datapath, err = tx.DatapathOf(ctx, b.Host); err != nil {
			return err
		}
		if err := pluggable(port, &b); err != nil {
			return err
		}
		return tx.InsertInactiveBinding(ctx, port, &b)
	})
	return &b, err
}

// UpdateBinding changes what the spec says. A binding stays with its host.
func (s *Service) UpdateBinding(ctx context.Context, c signalbox.Caller, port uuid.UUID, host string, spec BindingSpec) (b *signalbox.PortBinding, err error) {
	err = s.changeBindings(ctx, c, port, "update_port_binding", func(tx *store.Tx, p *signalbox.Port, all []signalbox.PortBinding) error {
		if b, err = bindingTo(all, port, host); err != nil {
			return err
		}
		if or(spec.Host, host) != host {
			return invalidInput("the host of a binding cannot be changed.")
		}
		before := *b
		set(&b.VNIC, spec.VNIC)
		set(&b.Profile, spec.Profile)
		if *b == before {
			return nil
		}
		if err := pluggable(port, b); err != nil {
			return err
		}
		if !b.Active {
			return tx.UpdateInactiveBinding(ctx, port, b)
		}
		p.VIF = b.VIF
		return tx.UpdatePort(ctx, p)
	})
	return b, err
}

// DeleteBinding deletes one. Without the active one, nobody asks for the port to be anywhere; where it is plugged in, it stays.
func (s *Service) DeleteBinding(ctx context.Context, c signalbox.Caller, port uuid.UUID, host string) error {
	return s.changeBindings(ctx, c, port, "delete_port_binding", func(tx *store.Tx, p *signalbox.Port, all []signalbox.PortBinding) error {
		b, err := bindingTo(all, port, host)
		switch {
		case err != nil:
			return err
		case !b.Active:
			return tx.DeleteInactiveBinding(ctx, port, host)
		case p.Host == "":
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonPortBound, "Port %s is plugged in on host %s, which nobody has asked for.", port, host)
		}
		p.Host = ""
		return tx.UpdatePort(ctx, p)
	})
}

// ActivateBinding makes a binding that waits the one that counts; the one before waits then.
func (s *Service) ActivateBinding(ctx context.Context, c signalbox.Caller, port uuid.UUID, host string) (b *signalbox.PortBinding, err error) {
	err = s.changeBindings(ctx, c, port, "activate_port_binding", func(tx *store.Tx, p *signalbox.Port, all []signalbox.PortBinding) error {
		if b, err = bindingTo(all, port, host); err != nil {
			return err
		}
		if b.Active {
			return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonBindingActive, "Binding for port %s on host %s is already active.", port, host)
		}
		if err := pluggable(port, b); err != nil {
			return err
		}
		if err := tx.DeleteInactiveBinding(ctx, port, host); err != nil {
			return err
		}
		if was := all[0]; was.HostName() != "" {
			was.Host = was.HostName()
			if err := tx.InsertInactiveBinding(ctx, port, &was); err != nil {
				return err
			}
		}
		b.Active, p.VIF = true, b.VIF
		return tx.UpdatePort(ctx, p)
	})
	return b, err
}

// changeBindings runs change with a locked port, which it may change, and its bindings.
func (s *Service) changeBindings(ctx context.Context, c signalbox.Caller, port uuid.UUID, rule string,
	change func(*store.Tx, *signalbox.Port, []signalbox.PortBinding) error) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		if _, err := boundPort(ctx, tx, c, port, rule); err != nil {
			return err
		}
		if _, err := tx.PortForUpdate(ctx, port); err != nil {
			return err
		}
		p, all, err := bindingsOf(ctx, tx, port)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(p.DeviceOwner, "compute:") {
			return signalbox.Errorf(signalbox.Invalid, signalbox.ReasonBadRequest,
				"Bad port request: Invalid port %s. Operation only valid on compute ports.", port)
		}
		return change(tx, p, all)
	})
}

// boundPort is a port whose bindings the caller may see, and do to them what the rule is about.
func boundPort(ctx context.Context, tx *store.Tx, c signalbox.Caller, id uuid.UUID, rule string) (*signalbox.Port, error) {
	p, err := visiblePort(ctx, tx, c, id)
	if err != nil {
		return nil, err
	}
	is := to(c, p.ProjectID)
	if !may(c, "get_port_binding", is) {
		return nil, notFound("port", id)
	}
	return p, must(c, rule, is)
}

// bindingsOf are a port and its bindings, the active one first.
func bindingsOf(ctx context.Context, tx *store.Tx, port uuid.UUID) (*signalbox.Port, []signalbox.PortBinding, error) {
	p, err := tx.Port(ctx, port)
	if err != nil {
		return nil, nil, err
	}
	waiting, err := tx.InactiveBindings(ctx, port)
	return p, slices.Concat([]signalbox.PortBinding{{VIF: p.VIF, Active: true}}, waiting), err
}

func bindingTo(all []signalbox.PortBinding, port uuid.UUID, host string) (*signalbox.PortBinding, error) {
	for i := range all {
		if host != "" && all[i].HostName() == host {
			return &all[i], nil
		}
	}
	return nil, signalbox.Errorf(signalbox.NotFound, signalbox.ReasonNoBinding, "Binding for port %s for host %s could not be found.", port, host)
}

// pluggable refuses a binding to a host that could not plug the port in.
func pluggable(port uuid.UUID, b *signalbox.PortBinding) error {
	if b.Type() != signalbox.VIFOVS {
		return signalbox.Errorf(signalbox.Conflict, signalbox.ReasonBindingFailed,
			"Binding for port %s on host %s could not be created or updated.", port, b.HostName())
	}
	return nil
}
