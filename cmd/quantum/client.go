package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// client asks one server.
type client struct {
	http  *http.Client
	base  string // its URL with /v2.0 and no slash behind
	token string // "": none is sent
	log   *tracer
}

// object is a resource as the server wrote it.
type object map[string]json.RawMessage

// text is an attribute as text: "" where it is absent or null.
func (o object) text(name string) string {
	var s string
	_ = json.Unmarshal(o[name], &s)
	return s
}

// refusal is an answer outside 200-299, in the server's words.
type refusal struct {
	status  int
	message string
}

func (r *refusal) Error() string { return r.message }

// call sends a request, with a body unless that is nil, and returns what the answer has under its keys.
func (c *client) call(ctx context.Context, method, path string, query url.Values, body any) (object, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	header := http.Header{}
	if c.token != "" {
		header.Set("X-Auth-Token", c.token)
	}
	answer, _, err := exchange(ctx, c.http, c.log, request{method, target, header, body})
	if err != nil || len(answer) == 0 {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(answer, &o); err != nil {
		return nil, fmt.Errorf("%s answered what is not JSON: %.200q", target, answer)
	}
	return o, nil
}

// one is call for an answer of one object under a key.
func (c *client) one(ctx context.Context, method, path, key string, query url.Values, body any) (object, error) {
	answer, err := c.call(ctx, method, path, query, body)
	if err != nil {
		return nil, err
	}
	var o object
	if err := json.Unmarshal(answer[key], &o); err != nil {
		return nil, fmt.Errorf("the answer has no %s", key)
	}
	return o, nil
}

// list reads a collection, page after page if the server divides it.
func (c *client) list(ctx context.Context, path, key string, query url.Values) ([]object, error) {
	all := []object{}
	for seen := map[string]bool{}; ; {
		at := query.Encode()
		if seen[at] {
			return nil, fmt.Errorf("the pages of %s go round in a circle", key)
		}
		seen[at] = true
		answer, err := c.call(ctx, http.MethodGet, path, query, nil)
		if err != nil {
			return nil, err
		}
		var page []object
		if err := json.Unmarshal(answer[key], &page); err != nil {
			return nil, fmt.Errorf("the answer has no %s", key)
		}
		for _, o := range page {
			if o == nil {
				return nil, fmt.Errorf("the answer has a %s that is nothing", key)
			}
			all = append(all, o)
		}
		next, err := nextPage(answer[key+"_links"])
		if next == nil || err != nil || len(page) == 0 {
			return all, err
		}
		query = next
	}
}

// nextPage is the query of the page that links call next; nil if there is none.
func nextPage(raw json.RawMessage) (url.Values, error) {
	var links []struct{ Rel, Href string }
	if raw == nil || json.Unmarshal(raw, &links) != nil {
		return nil, nil
	}
	for _, l := range links {
		if l.Rel == "next" {
			u, err := url.Parse(l.Href)
			if err != nil {
				return nil, err
			}
			return u.Query(), nil
		}
	}
	return nil, nil
}

// find is the id of a resource that a person named: by id, or by a name that only one has.
func (c *client) find(ctx context.Context, kind, nameOrID string) (string, error) {
	r := resourceNamed(kind)
	if uuid.MatchString(nameOrID) {
		found, err := c.list(ctx, r.path, r.plural, url.Values{"id": {nameOrID}, "fields": {"id"}})
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			return found[0].text("id"), nil
		}
	}
	found, err := c.list(ctx, r.path, r.plural, url.Values{"name": {nameOrID}, "fields": {"id"}})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", &refusal{http.StatusNotFound, fmt.Sprintf("Unable to find %s with name or id '%s'", kind, nameOrID)}
	case len(found) > 1:
		return "", &refusal{http.StatusConflict, fmt.Sprintf("Multiple %s matches found for name '%s', use an ID to be more specific.", kind, nameOrID)}
	}
	return found[0].text("id"), nil
}

var uuid = regexp.MustCompile(`(?i)^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$`)

// request is what exchange sends.
type request struct {
	method, url string
	header      http.Header
	body        any // as JSON; nil for none
}

// exchange sends a request and reads the answer, telling both to the log.
func exchange(ctx context.Context, h *http.Client, log *tracer, r request) (answer []byte, header http.Header, err error) {
	var sent []byte
	if r.body != nil {
		if sent, err = json.Marshal(r.body); err != nil {
			return nil, nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(sent))
	if err != nil {
		return nil, nil, err
	}
	req.Header = r.header
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "quantum (signalbox)")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	log.request(req, sent)
	res, err := h.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, nil, fmt.Errorf("connection to %s failed: %w", req.URL.Host, err)
	}
	defer res.Body.Close()
	if answer, err = io.ReadAll(res.Body); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", r.url, err)
	}
	log.response(req, res, answer)
	if res.StatusCode/100 != 2 {
		return answer, res.Header, &refusal{res.StatusCode, complaint(res.StatusCode, answer)}
	}
	return answer, res.Header, nil
}

// complaint is what a refusal says: Neutron's and Keystone's form, or whatever a proxy wrote.
func complaint(status int, body []byte) string {
	var form map[string]json.RawMessage
	_ = json.Unmarshal(body, &form)
	for _, key := range []string{"NeutronError", "QuantumError", "error"} {
		var e struct{ Message, Detail string }
		if json.Unmarshal(form[key], &e) == nil && e.Message != "" {
			return strings.TrimSpace(e.Message + "\n" + e.Detail)
		}
		var s string
		if json.Unmarshal(form[key], &s) == nil && s != "" {
			return s
		}
	}
	if s := strings.TrimSpace(string(body)); s != "" && form == nil {
		return s
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}
