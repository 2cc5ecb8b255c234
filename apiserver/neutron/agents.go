package neutron

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// AgentSpec is what a request says of an agent; nil is what it does not say.
type AgentSpec struct {
	AdminStateUp *bool
	Description  *string
}

// visibleAgent hides hosts from all but operators.
func visibleAgent(c signalbox.Caller, id uuid.UUID, read func(uuid.UUID) (*signalbox.Agent, error)) (*signalbox.Agent, error) {
	if !may(c, "get_agent", 0) {
		return nil, notFound("agent", id)
	}
	return read(id)
}

// Agent reads one.
func (s *Service) Agent(ctx context.Context, c signalbox.Caller, id uuid.UUID) (a *signalbox.Agent, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		a, err = visibleAgent(c, id, func(id uuid.UUID) (*signalbox.Agent, error) { return tx.Agent(ctx, id) })
		return err
	})
	return a, err
}

// Agents lists.
func (s *Service) Agents(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Agent, error) {
	if !may(c, "get_agent", 0) {
		return nil, nil
	}
	return list(ctx, s, c, "agent", q, (*store.Tx).Agents)
}

// UpdateAgent changes what the spec says.
func (s *Service) UpdateAgent(ctx context.Context, c signalbox.Caller, id uuid.UUID, spec AgentSpec) (a *signalbox.Agent, err error) {
	err = s.db.Write(ctx, func(tx *store.Tx) error {
		a, err = visibleAgent(c, id, func(id uuid.UUID) (*signalbox.Agent, error) { return tx.AgentForUpdate(ctx, id) })
		if err != nil {
			return err
		}
		closed, description := !or(spec.AdminStateUp, !a.Closed), or(spec.Description, a.Description)
		if closed == a.Closed && description == a.Description {
			return nil
		}
		a.Closed, a.Description = closed, description
		return tx.UpdateAgent(ctx, a)
	})
	return a, err
}

// DeleteAgent forgets a host that is gone. One that is there would only be back.
func (s *Service) DeleteAgent(ctx context.Context, c signalbox.Caller, id uuid.UUID, _ *int64) error {
	return s.db.Write(ctx, func(tx *store.Tx) error {
		a, err := visibleAgent(c, id, func(id uuid.UUID) (*signalbox.Agent, error) { return tx.AgentForUpdate(ctx, id) })
		if err != nil {
			return err
		}
		if a.Alive {
			return signalbox.Errorf(signalbox.Conflict, "", "Agent %s on host %s is alive, and cannot be deleted while it is.", id, a.Name)
		}
		return tx.DeleteAgent(ctx, id)
	})
}

// NetworksOfAgent are the networks on which DHCP is answered at a host: wherever a port is, its requests are answered there.
func (s *Service) NetworksOfAgent(ctx context.Context, c signalbox.Caller, id uuid.UUID) ([]signalbox.Network, error) {
	return besides(ctx, s, c, "get_dhcp-networks", (*store.Tx).Networks, func(tx *store.Tx) ([]uuid.UUID, error) {
		if _, err := tx.Agent(ctx, id); err != nil {
			return nil, err
		}
		return tx.ServedAt(ctx, id)
	})
}

// AgentsOfNetwork are the hosts at which DHCP is answered on a network.
func (s *Service) AgentsOfNetwork(ctx context.Context, c signalbox.Caller, id uuid.UUID) ([]signalbox.Agent, error) {
	return besides(ctx, s, c, "get_dhcp-agents", (*store.Tx).Agents, func(tx *store.Tx) ([]uuid.UUID, error) {
		if _, err := tx.Network(ctx, id); err != nil {
			return nil, err
		}
		return tx.ServersOf(ctx, id)
	})
}

// RoutersOfAgent are the routers whose gateways are at a host.
func (s *Service) RoutersOfAgent(ctx context.Context, c signalbox.Caller, id uuid.UUID) ([]signalbox.Router, error) {
	return besides(ctx, s, c, "get_l3-routers", (*store.Tx).Routers, func(tx *store.Tx) ([]uuid.UUID, error) {
		if _, err := tx.Agent(ctx, id); err != nil {
			return nil, err
		}
		return tx.RoutersAt(ctx, id)
	})
}

// AgentsOfRouter are the hosts at which a router's gateway is: one, or none.
func (s *Service) AgentsOfRouter(ctx context.Context, c signalbox.Caller, id uuid.UUID) ([]signalbox.Agent, error) {
	return besides(ctx, s, c, "get_l3-agents", (*store.Tx).Agents, func(tx *store.Tx) ([]uuid.UUID, error) {
		r, err := tx.Router(ctx, id)
		if err != nil || r.Gateway == nil || r.Gateway.Host == uuid.Nil {
			return nil, err
		}
		return []uuid.UUID{r.Gateway.Host}, nil
	})
}

// besides lists the rows whose ids find finds.
func besides[T any](ctx context.Context, s *Service, c signalbox.Caller, rule string, read func(*store.Tx, context.Context, store.Query) ([]T, error), find func(*store.Tx) ([]uuid.UUID, error)) (rows []T, err error) {
	if err := must(c, rule, 0); err != nil {
		return nil, err
	}
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		ids, err := find(tx)
		if err != nil {
			return err
		}
		q := store.Query{Filters: map[string][]any{"id": {}}}
		for _, id := range ids {
			q.Filters["id"] = append(q.Filters["id"], id)
		}
		rows, err = read(tx, ctx, q)
		return err
	})
	return rows, err
}

// Unscheduled refuses to have DHCP or a router's gateway at a host that an operator names, or not there.
func (s *Service) Unscheduled(c signalbox.Caller) error {
	if err := must(c, "get_agent", 0); err != nil {
		return err
	}
	return signalbox.Errorf(signalbox.Conflict, "", "Nothing is scheduled to agents: DHCP is answered at every host that has a port of the network, "+
		"and the controller chooses the host of a router's gateway (signalbox gateway move).")
}

// checkZones refuses zones that there are not.
func checkZones(hints []string) error {
	if i := slices.IndexFunc(hints, func(z string) bool { return z != signalbox.DefaultZone }); i >= 0 {
		return &signalbox.Error{Kind: signalbox.NotFound, Resource: "availability_zone", ID: hints[i], Msg: "no availability zone " + hints[i]}
	}
	return nil
}

// ZoneAvailable reports whether a host of the zone is there.
func (s *Service) ZoneAvailable(ctx context.Context) (yes bool, err error) {
	err = s.db.Read(ctx, func(tx *store.Tx) error {
		yes, err = tx.AnyAgentAlive(ctx)
		return err
	})
	return yes, err
}
