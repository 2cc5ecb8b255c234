package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// pass is what Keystone gives: a token, and where the catalog says that the server is.
type pass struct{ token, endpoint string }

// authenticate gets a pass, by the version of Keystone's API that its URL says or that it says itself. Nothing of it
// is kept on disk.
func (s *settings) authenticate(ctx context.Context, c *client) (pass, error) {
	switch {
	case s.authURL == "" && s.endpoint == "":
		return pass{}, errors.New("you must say where the server is: --endpoint or OS_URL, or Keystone by --os-auth-url or OS_AUTH_URL")
	case s.authURL == "":
		return pass{}, errors.New("you must say where Keystone is: --os-auth-url or OS_AUTH_URL")
	case s.token == "" && s.username == "" && s.userID == "":
		return pass{}, errors.New("you must say who you are: --os-username or OS_USERNAME, or a token by --os-token or OS_TOKEN")
	case s.token == "" && s.password == "":
		return pass{}, errors.New("you must provide a password by --os-password or OS_PASSWORD")
	}
	root := strings.TrimRight(s.authURL, "/")
	version := root[strings.LastIndex(root, "/")+1:]
	if version != "v2.0" && version != "v3" {
		var err error
		if root, version, err = discover(ctx, c, root); err != nil {
			return pass{}, err
		}
	}
	if version == "v2.0" {
		return s.byV2(ctx, c, root)
	}
	return s.byV3(ctx, c, root)
}

// discover asks Keystone which versions it speaks, and where. The newest that this program knows is taken.
func discover(ctx context.Context, c *client, root string) (at, version string, err error) {
	answer, _, err := exchange(ctx, c.http, c.log, request{http.MethodGet, root + "/", http.Header{}, nil})
	var refused *refusal
	if err != nil && !(errors.As(err, &refused) && refused.status == http.StatusMultipleChoices) {
		return "", "", err
	}
	var said struct {
		Versions struct {
			Values []struct {
				ID    string
				Links []struct{ Rel, Href string }
			}
		}
	}
	if err := json.Unmarshal(answer, &said); err != nil {
		return "", "", fmt.Errorf("%s does not say which versions of Keystone's API it speaks", root)
	}
	for _, known := range []string{"v3", "v2.0"} {
		for _, v := range said.Versions.Values {
			if v.ID != known && !strings.HasPrefix(v.ID, known+".") {
				continue
			}
			for _, l := range v.Links {
				if l.Rel == "self" {
					return strings.TrimRight(l.Href, "/"), known, nil
				}
			}
		}
	}
	return "", "", fmt.Errorf("%s speaks neither v3 nor v2.0 of Keystone's API", root)
}

type dict = map[string]any

// byV2 is POST /v2.0/tokens, as in Quantum's day.
func (s *settings) byV2(ctx context.Context, c *client, root string) (pass, error) {
	auth := dict{"passwordCredentials": dict{"username": s.username, "password": s.password}}
	switch {
	case s.token != "":
		auth = dict{"token": dict{"id": s.token}}
	case s.username == "":
		auth = dict{"passwordCredentials": dict{"userId": s.userID, "password": s.password}}
	}
	if s.project != "" {
		auth["tenantName"] = s.project
	} else if s.projectID != "" {
		auth["tenantId"] = s.projectID
	}
	answer, _, err := exchange(ctx, c.http, c.log, request{http.MethodPost, root + "/tokens", http.Header{}, dict{"auth": auth}})
	if err != nil {
		return pass{}, err
	}
	var got struct {
		Access struct {
			Token          struct{ ID string }
			ServiceCatalog []struct {
				Type      string
				Endpoints []map[string]string
			}
		}
	}
	if err := json.Unmarshal(answer, &got); err != nil || got.Access.Token.ID == "" {
		return pass{}, fmt.Errorf("%s answered without a token", root)
	}
	var at []place
	for _, service := range got.Access.ServiceCatalog {
		for _, e := range service.Endpoints {
			at = append(at, place{service.Type, s.endpointType, e["region"], e[s.endpointType+"URL"]})
		}
	}
	return s.pass(got.Access.Token.ID, at)
}

// byV3 is POST /v3/auth/tokens. A user or a project whose domain nobody names is of the default domain, so that what
// was set for v2.0 will do.
func (s *settings) byV3(ctx context.Context, c *client, root string) (pass, error) {
	identity := dict{"methods": []string{"token"}, "token": dict{"id": s.token}}
	if s.token == "" {
		user := dict{"id": s.userID, "password": s.password}
		if s.userID == "" {
			user = dict{"name": s.username, "domain": domain(s.userDomainID, s.userDomainName), "password": s.password}
		}
		identity = dict{"methods": []string{"password"}, "password": dict{"user": user}}
	}
	auth := dict{"identity": identity}
	if s.projectID != "" {
		auth["scope"] = dict{"project": dict{"id": s.projectID}}
	} else if s.project != "" {
		auth["scope"] = dict{"project": dict{"name": s.project, "domain": domain(s.projectDomain, s.projectDomainName)}}
	}
	answer, header, err := exchange(ctx, c.http, c.log, request{http.MethodPost, root + "/auth/tokens", http.Header{}, dict{"auth": auth}})
	if err != nil {
		return pass{}, err
	}
	var got struct {
		Token struct {
			Catalog []struct {
				Type      string
				Endpoints []struct {
					Interface, Region, URL string
					RegionID               string `json:"region_id"`
				}
			}
		}
	}
	token := header.Get("X-Subject-Token")
	if err := json.Unmarshal(answer, &got); err != nil || token == "" {
		return pass{}, fmt.Errorf("%s answered without a token", root)
	}
	var at []place
	for _, service := range got.Token.Catalog {
		for _, e := range service.Endpoints {
			if e.RegionID == "" {
				e.RegionID = e.Region
			}
			at = append(at, place{service.Type, e.Interface, e.RegionID, e.URL})
		}
	}
	return s.pass(token, at)
}

func domain(id, name string) dict {
	switch {
	case name != "":
		return dict{"name": name}
	case id != "":
		return dict{"id": id}
	}
	return dict{"id": "default"}
}

// place is an endpoint of the catalog.
type place struct{ service, side, region, url string }

// pass chooses from the catalog. Where the endpoint has been given, the catalog is not asked.
func (s *settings) pass(token string, catalog []place) (pass, error) {
	if s.endpoint != "" {
		return pass{token, s.endpoint}, nil
	}
	for _, p := range catalog {
		if p.service != s.serviceType || p.side != s.endpointType || s.region != "" && p.region != s.region {
			continue
		}
		if _, err := url.Parse(p.url); err == nil && p.url != "" {
			return pass{token, p.url}, nil
		}
	}
	in := ""
	if s.region != "" {
		in = " in region " + s.region
	}
	return pass{}, fmt.Errorf("the catalog of Keystone has no %s endpoint of a %s service%s", s.endpointType, s.serviceType, in)
}
