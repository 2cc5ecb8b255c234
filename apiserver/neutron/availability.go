package neutron

import (
	"context"

	"github.com/google/uuid"
	"github.com/signalbox-sdn/signalbox"
	"github.com/signalbox-sdn/signalbox/apiserver/store"
)

// Availabilities lists how full networks are.
func (s *Service) Availabilities(ctx context.Context, c signalbox.Caller, q Query) ([]signalbox.Availability, error) {
	if !may(c, "get_network_ip_availability", 0) {
		return nil, nil
	}
	return list(ctx, s, c, "network_ip_availability", q, (*store.Tx).Availabilities)
}

// Availability is how full one network is.
func (s *Service) Availability(ctx context.Context, c signalbox.Caller, network uuid.UUID) (*signalbox.Availability, error) {
	all, err := s.Availabilities(ctx, c, Query{Filters: map[string][]any{"network_id": {network}}})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, notFound("network", network)
	}
	return &all[0], nil
}
