package keystone

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

type object = map[string]any

// Project makes a project and returns its id.
func (s *Server) Project(name string) string {
	s.t.Helper()
	return s.made("project", object{"name": name, "domain_id": "default"})
}

// User makes a user, gives it roles on a project (by its id), and returns its id.
func (s *Server) User(name, password, project string, roles ...string) string {
	s.t.Helper()
	user := s.made("user", object{"name": name, "password": password, "domain_id": "default", "default_project_id": project})
	for _, role := range roles {
		s.Grant(user, project, role)
	}
	return user
}

// Grant gives a user (by its id) a role (by its name) on a project (by its id).
func (s *Server) Grant(user, project, role string) {
	s.t.Helper()
	s.admin("PUT", "/projects/"+project+"/users/"+user+"/roles/"+s.role(role), nil, nil)
}

// Ungrant takes it away, which revokes the tokens that the user has there.
func (s *Server) Ungrant(user, project, role string) {
	s.t.Helper()
	s.admin("DELETE", "/projects/"+project+"/users/"+user+"/roles/"+s.role(role), nil, nil)
}

// Disable disables a user (by its id), which revokes its tokens.
func (s *Server) Disable(user string) {
	s.t.Helper()
	s.admin("PATCH", "/users/"+user, object{"user": object{"enabled": false}}, nil)
}

// Endpoint puts a service into the catalogue: of a type ("network"), at a URL.
func (s *Server) Endpoint(kind, url string) {
	s.t.Helper()
	service := s.made("service", object{"type": kind, "name": kind})
	for _, who := range []string{"public", "internal", "admin"} {
		s.made("endpoint", object{"service_id": service, "interface": who, "url": url, "region_id": Region})
	}
}

// role is the id of a role, which is made where it is missing.
func (s *Server) role(name string) string {
	s.t.Helper()
	var found struct {
		Roles []struct{ ID string }
	}
	s.admin("GET", "/roles?name="+name, nil, &found)
	if len(found.Roles) > 0 {
		return found.Roles[0].ID
	}
	return s.made("role", object{"name": name})
}

// made makes a resource and returns its id.
func (s *Server) made(resource string, attributes object) string {
	s.t.Helper()
	var answer map[string]struct{ ID string }
	s.admin("POST", "/"+resource+"s", object{resource: attributes}, &answer)
	return answer[resource].ID
}

// Token is a token of a user, scoped to a project (both by name); without a project it is unscoped.
func (s *Server) Token(user, password, project string) string {
	s.t.Helper()
	domain := object{"name": Domain}
	auth := object{"identity": object{"methods": []string{"password"}, "password": object{
		"user": object{"name": user, "domain": domain, "password": password}}}, "scope": "unscoped"}
	if project != "" {
		auth["scope"] = object{"project": object{"name": project, "domain": domain}}
	}
	return s.ask("POST", "/auth/tokens", nil, object{"auth": auth}, nil).Get("X-Subject-Token")
}

// Revoke revokes a token.
func (s *Server) Revoke(token string) {
	s.t.Helper()
	s.ask("DELETE", "/auth/tokens", map[string]string{"X-Auth-Token": s.token, "X-Subject-Token": token}, nil, nil)
}

// Environment is what tells a client (openstack, quantum) who it is: the OS_ variables of version 3.
func (s *Server) Environment(user, password, project string) []string {
	return []string{
		"OS_AUTH_URL=" + s.URL, "OS_IDENTITY_API_VERSION=3", "OS_REGION_NAME=" + Region,
		"OS_USERNAME=" + user, "OS_PASSWORD=" + password, "OS_PROJECT_NAME=" + project,
		"OS_USER_DOMAIN_NAME=" + Domain, "OS_PROJECT_DOMAIN_NAME=" + Domain,
	}
}

// admin asks as the admin.
func (s *Server) admin(method, path string, body, answer any) {
	s.t.Helper()
	s.ask(method, path, map[string]string{"X-Auth-Token": s.token}, body, answer)
}

// ask sends a request, decodes what answers it into answer, if that is not nil, and returns the answer's headers.
func (s *Server) ask(method, path string, headers map[string]string, body, answer any) http.Header {
	s.t.Helper()
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		sent = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.URL+path, sent)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatalf("Keystone: %v\n%s", err, s.log())
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= 300 {
		s.t.Fatalf("Keystone: %s %s: %s %s %v\n%s", method, path, res.Status, got, err, s.log())
	}
	if answer == nil {
		return res.Header
	}
	if err := json.Unmarshal(got, answer); err != nil {
		s.t.Fatalf("Keystone: %s %s: %s: %v", method, path, got, err)
	}
	return res.Header
}
