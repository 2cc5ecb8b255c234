//go:build integration

package apiserver_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
)

func ids(rows []object) (all []string) {
	for _, r := range rows {
		all = append(all, r["id"].(string))
	}
	return all
}

// randomOrder is up to three sort keys.
func randomOrder(rnd *rand.Rand) string {
	keys := []string{"name", "description", "admin_state_up", "device_id", "created_at", "network_id", "mac_address", "id"}
	var order []string
	for _, i := range rnd.Perm(len(keys))[:rnd.IntN(4)] {
		order = append(order, "sort_key="+keys[i]+"&sort_dir="+[]string{"asc", "desc"}[rnd.IntN(2)])
	}
	return strings.Join(order, "&")
}

// randomQuestion is a query of ports, and whether a port passes it.
func randomQuestion(rnd *rand.Rand, word func() string, networks []string) (url.Values, func(object) bool) {
	q := url.Values{}
	for _, name := range []string{"name", "description", "device_id", "device_owner"} {
		for range max(0, rnd.IntN(6)-3) {
			q.Add(name, word())
		}
	}
	for name, value := range map[string]string{
		"admin_state_up": []string{"True", "false", "1"}[rnd.IntN(3)], "project_id": "p" + word(), "network_id": networks[rnd.IntN(2)],
		"fixed_ips": []string{"ip_address=10.0.0.3", "ip_address_substr=.1", "ip_address_substr=0.0.2"}[rnd.IntN(3)], "status": "DOWN",
	} {
		if rnd.IntN(5) == 0 {
			q.Add(name, value)
		}
	}
	for _, name := range []string{"tags", "tags-any", "not-tags", "not-tags-any"} {
		if rnd.IntN(5) == 0 {
			q.Add(name, []string{"red", "red,green", "blue,none", "green"}[rnd.IntN(4)])
		}
	}
	return q, func(p object) bool {
		for name, values := range q {
			if !passes(p, name, values) {
				return false
			}
		}
		return true
	}
}

// passes answers one condition of a query.
func passes(p object, name string, values []string) bool {
	has := func(tag string) bool { return slices.Contains(p["tags"].([]any), any(tag)) }
	all := strings.Split(values[0], ",")
	switch name {
	case "tags":
		return !slices.ContainsFunc(all, func(t string) bool { return !has(t) })
	case "not-tags":
		return slices.ContainsFunc(all, func(t string) bool { return !has(t) })
	case "tags-any":
		return slices.ContainsFunc(all, has)
	case "not-tags-any":
		return !slices.ContainsFunc(all, has)
	case "admin_state_up":
		return p[name] == (values[0] != "false")
	case "fixed_ips":
		key, value, _ := strings.Cut(values[0], "=")
		return slices.ContainsFunc(addrs(p), func(a string) bool {
			return a == value || key == "ip_address_substr" && strings.Contains(a, value)
		})
	}
	return slices.Contains(values, fmt.Sprint(p[name]))
}
