package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

type rawJSON = json.RawMessage

// asked is how many ids a query asks for at most: so that its URL stays under the 8 KB that servers take.
const asked = 150

// byID reads attributes of the resources with these ids, by id.
func byID(ctx context.Context, c *client, kind string, ids []string, fields ...string) (map[string]object, error) {
	r := resourceNamed(kind)
	slices.Sort(ids)
	found := map[string]object{}
	for some := range slices.Chunk(slices.Compact(ids), asked) {
		all, err := c.list(ctx, r.path, r.plural, url.Values{"id": some, "fields": append([]string{"id"}, fields...)})
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			found[o.text("id")] = o
		}
	}
	return found, nil
}

// addCIDRs puts each subnet's CIDR beside its id in a list of networks.
func addCIDRs(ctx context.Context, c *client, rows []object) error {
	var ids []string
	each := make([][]string, len(rows))
	for i, n := range rows {
		_ = json.Unmarshal(n["subnets"], &each[i])
		ids = append(ids, each[i]...)
	}
	known, err := byID(ctx, c, "subnet", ids, "cidr")
	if err != nil {
		return err
	}
	for i, n := range rows {
		if n["subnets"] == nil {
			continue
		}
		type subnet struct {
			ID   string `json:"id"`
			CIDR string `json:"cidr,omitempty"`
		}
		named := []subnet{}
		for _, id := range each[i] {
			named = append(named, subnet{id, known[id].text("cidr")})
		}
		n["subnets"] = raw(named)
	}
	return nil
}

func raw(v any) rawJSON {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made here, of texts
	}
	return b
}

func showSubnets(v rawJSON) string {
	var all []struct{ ID, CIDR string }
	_ = json.Unmarshal(v, &all)
	var lines []string
	for _, s := range all {
		lines = append(lines, s.ID+" "+s.CIDR)
	}
	return strings.Join(lines, "\n")
}

func showAlive(v rawJSON) string {
	if string(v) == "true" {
		return ":-)"
	}
	return "xxx"
}

// rule is a security group's rule as a line of text needs it.
type rule struct {
	Direction, Ethertype string
	Protocol             *string
	PortRangeMin         *int    `json:"port_range_min"`
	PortRangeMax         *int    `json:"port_range_max"`
	RemoteIPPrefix       *string `json:"remote_ip_prefix"`
	RemoteGroupID        *string `json:"remote_group_id"`
}

// service is the protocol with its ports, or with its ICMP type and code; "" for any.
func (r *rule) service() string {
	if r.Protocol == nil {
		return ""
	}
	name := *r.Protocol
	switch {
	case strings.Contains(name, "icmp"):
		var of []string
		if r.PortRangeMin != nil {
			of = append(of, fmt.Sprintf("type:%d", *r.PortRangeMin))
		}
		if r.PortRangeMax != nil {
			of = append(of, fmt.Sprintf("code:%d", *r.PortRangeMax))
		}
		if of != nil {
			name += " (" + strings.Join(of, ", ") + ")"
		}
	case r.PortRangeMin == nil || r.PortRangeMax == nil:
	case *r.PortRangeMin == *r.PortRangeMax:
		return fmt.Sprintf("%d/%s", *r.PortRangeMin, name)
	default:
		return fmt.Sprintf("%d-%d/%s", *r.PortRangeMin, *r.PortRangeMax, name)
	}
	return name
}

// showRules is one line for each rule of a security group.
func showRules(v rawJSON) string {
	var rules []rule
	_ = json.Unmarshal(v, &rules)
	var lines []string
	for _, r := range rules {
		line := []string{r.Direction, r.Ethertype}
		if s := r.service(); s != "" {
			line = append(line, s)
		}
		if r.RemoteIPPrefix != nil {
			line = append(line, "remote_ip_prefix: "+*r.RemoteIPPrefix)
		}
		if r.RemoteGroupID != nil {
			line = append(line, "remote_group_id: "+*r.RemoteGroupID)
		}
		lines = append(lines, strings.Join(line, ", "))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// describeRules adds to rules the columns that their list shows: their group's name, what they let through, and from
// or to whom.
func describeRules(ctx context.Context, c *client, rows []object) error {
	var ids []string
	for _, r := range rows {
		for _, key := range []string{"security_group_id", "remote_group_id"} {
			if id := r.text(key); id != "" {
				ids = append(ids, id)
			}
		}
	}
	groups, err := byID(ctx, c, "security_group", ids, "name")
	if err != nil {
		return err
	}
	name := func(id string) string {
		if n := groups[id].text("name"); n != "" {
			return n
		}
		return id
	}
	for _, row := range rows {
		var r rule
		if err := json.Unmarshal(raw(row), &r); err != nil {
			return fmt.Errorf("a rule of the answer: %w", err)
		}
		service, remote := r.service(), "any"
		if service == "" {
			service = "any"
		}
		switch {
		case r.RemoteIPPrefix != nil:
			remote = *r.RemoteIPPrefix + " (CIDR)"
		case r.RemoteGroupID != nil:
			remote = name(*r.RemoteGroupID) + " (group)"
		}
		row["security_group"] = raw(name(row.text("security_group_id")))
		row["port/protocol"] = raw(service)
		row["remote"] = raw(remote)
	}
	return nil
}
