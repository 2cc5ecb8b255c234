package apiserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/signalbox-sdn/signalbox/apiserver/neutron"
	"github.com/signalbox-sdn/signalbox/apiserver/wire"
)

// described is a collection that can say what its resource consists of.
type described interface{ shape() wire.Shape }

func (k *collection[T, S]) shape() wire.Shape { return k.wire.Shape() }
func (k quotas) shape() wire.Shape            { return k.wire.Shape() }
func (k zones) shape() wire.Shape             { return k.wire.Shape() }
func (k bindings) shape() wire.Shape          { return k.wire.Shape() }

// resources is what the API is about. Its routes are found by the collections' names.
func (s *Server) resources() []described {
	return []described{s.networks(), s.subnets(), s.ports(), s.routers(), s.floatingIPs(), s.securityGroups(), s.rules(), s.subnetPools(), s.addressScopes(),
		s.policies(), s.quotas(), s.agents(), s.zones(), s.availabilities(), s.bindings()}
}

// openAPI is the API in the words of OpenAPI 3.0 (https://spec.openapis.org/oas/v3.0.3), for everybody.
func (s *Server) openAPI(c echo.Context) error { return send(c, http.StatusOK, s.document()) }

// tree is a JSON object that is made by hand.
type tree = map[string]any

// describe makes the document: every route, and what the wire's data says of the resources that they lead to.
func (s *Server) describe() []byte {
	schemas := tree{
		"NeutronError": exactly(tree{"NeutronError": exactly(tree{"type": text, "message": text, "detail": text})}),
		"error":        exactly(tree{"error": exactly(tree{"code": tree{"type": "integer"}, "title": text, "message": text})}),
	}
	urls := map[string]wire.Shape{} // by what a URL calls the collection
	for _, r := range s.resources() {
		shape := r.shape()
		urls[shape.Collection], urls[strings.ReplaceAll(shape.Collection, "_", "-")] = shape, shape
		schemas[shape.Name] = answered(shape)
		for name, verb := range map[string]wire.Access{"_create": wire.Create, "_update": wire.Update} {
			if schema := asked(shape, verb); len(schema["properties"].(tree)) > 0 {
				schemas[shape.Name+name] = schema
			}
		}
	}
	paths := map[string]tree{}
	for _, r := range s.routes() {
		operation := operationOf(r, urls)
		if operation == nil {
			continue
		}
		path := pathOf(r.path)
		if paths[path] == nil {
			paths[path] = tree{}
		}
		paths[path][strings.ToLower(r.method)] = operation
	}
	rules := tree{}
	for _, rule := range neutron.Rules() {
		rules[rule.Name] = rule.Who
	}
	b, err := json.Marshal(tree{
		"openapi": "3.0.3",
		"info": tree{"title": "Signalbox", "version": "2.0",
			"description": "The OpenStack Networking API (Quantum, Neutron) as far as it is served here. Every URL may end in .json."},
		"servers":  []any{tree{"url": "/"}},
		"security": []any{tree{"token": []string{}}},
		"paths":    paths,
		"components": tree{
			"schemas":         schemas,
			"securitySchemes": tree{"token": tree{"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
		},
		"x-policy": rules,
	})
	if err != nil {
		panic(err) // the data is the program's own
	}
	return b
}

var text = tree{"type": "string"}

// exactly is an object that has these properties and no other.
func exactly(properties tree) tree {
	names := []string{}
	for name := range properties {
		names = append(names, name)
	}
	return tree{"type": "object", "properties": properties, "additionalProperties": false, "minProperties": len(names)}
}

func reference(name string) tree { return tree{"$ref": "#/components/schemas/" + name} }

// answered is a resource as answers have it: which attributes it has is the caller's wish and rank.
func answered(shape wire.Shape) tree {
	properties := tree{}
	for _, f := range shape.Attributes {
		if f.Access&wire.Unshown == 0 {
			properties[f.Name] = property(f, tree{"x-access": access(shape.Name, f)})
		}
	}
	return tree{"type": "object", "properties": properties, "additionalProperties": false, "x-collection": shape.Collection}
}

// asked is a resource as requests have it.
func asked(shape wire.Shape, verb wire.Access) tree {
	properties, required := tree{}, []string{}
	for _, f := range shape.Attributes {
		if f.Access&verb == 0 {
			continue
		}
		more := tree{}
		if verb == wire.Create && f.Default != nil {
			more["default"] = f.Default
		}
		properties[f.Name] = property(f, more)
		if verb == wire.Create && f.Access&wire.Required != 0 {
			required = append(required, f.Name)
		}
	}
	out := tree{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// property is an attribute's schema, and more.
func property(f wire.Form, more tree) tree {
	b, err := json.Marshal(f.Schema)
	if err == nil {
		err = json.Unmarshal(b, &more)
	}
	if err != nil {
		panic(err) // the data is the program's own
	}
	if f.Alias != "" {
		more["description"] = "The same as " + f.Alias + "."
	}
	return more
}

// access is what can be done with an attribute, and by whom where not by everybody who may do it to the resource.
func access(resource string, f wire.Form) tree {
	out := tree{}
	for verb, bit := range map[string]wire.Access{"create": wire.Create, "update": wire.Update} {
		if f.Access&bit != 0 {
			out[verb] = neutron.Who(verb+"_"+resource+":"+f.Name, f.Access&(wire.AdminSet|wire.AdminOnly) != 0)
		}
	}
	if f.Access&wire.AdminOnly != 0 {
		out["get"] = neutron.Who("get_"+resource+":"+f.Name, true)
	}
	for what, bit := range map[string]wire.Access{"required": wire.Required, "filter": wire.Filter, "sort": wire.Sort} {
		if f.Access&bit != 0 {
			out[what] = true
		}
	}
	return out
}

// pathOf is a route's path as OpenAPI writes it.
func pathOf(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// operationOf is a route's operation, nil if it is there only to be refused.
func operationOf(r route, urls map[string]wire.Shape) tree {
	collection, below, _ := strings.Cut(strings.TrimPrefix(r.path, "/v2.0/"), "/")
	shape, known := urls[collection]
	op, special := besides(r)
	switch {
	case schedules(r):
		return nil
	case special:
	case known && below == "":
		op = onCollection(r, shape)
	case known && below == ":id":
		op = onOne(r, shape)
	case strings.HasPrefix(r.path, portBindings):
		op = onBindings(r)
	case known && (below == ":id/tags" || below == ":id/tags/:tag"):
		op = onTags(r)
	default:
		op = does("", http.StatusOK, tree{})
	}
	if op == nil {
		return nil
	}
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parameter(op, tree{"name": name, "in": "path", "required": true, "schema": text})
		}
	}
	op["operationId"] = strings.ToLower(r.method) + strings.NewReplacer("/", "_", ":", "", "-", "_", ".", "_").Replace(r.path)
	answers := op["responses"].(tree)
	answers["default"] = answer("A refusal.", reference("NeutronError"))
	answers["401"] = answer("Nobody vouches for who asks.", reference("error"))
	if free(r) {
		op["security"] = []any{}
		delete(answers, "401")
	}
	return op
}

func parameter(op tree, p tree) {
	all, _ := op["parameters"].([]any)
	op["parameters"] = append(all, p)
}

func body(schema any) tree { return tree{"application/json": tree{"schema": schema}} }

func answer(description string, schema any) tree {
	out := tree{"description": description}
	if schema != nil {
		out["content"] = body(schema)
	}
	return out
}

// does is an operation that answers status.
func does(summary string, status int, schema any) tree {
	return tree{"summary": summary, "responses": tree{fmt.Sprint(status): answer(http.StatusText(status)+".", schema)}}
}

func asking(op tree, schema any) tree {
	op["requestBody"] = tree{"required": true, "content": body(schema)}
	return op
}

func under(key string, schema any) tree { return exactly(tree{key: schema}) }

func listOf(schema any) tree { return tree{"type": "array", "items": schema} }

func onCollection(r route, shape wire.Shape) tree {
	one := reference(shape.Name)
	switch r.method {
	case http.MethodGet:
		link := exactly(tree{"rel": tree{"type": "string", "enum": []any{"next", "previous"}}, "href": text})
		op := does("List "+plain(shape.Collection)+".", http.StatusOK, tree{"type": "object", "additionalProperties": false,
			"required":   []string{shape.Collection},
			"properties": tree{shape.Collection: listOf(one), shape.Collection + "_links": listOf(link)}})
		var sortable []any
		for _, f := range shape.Attributes {
			if f.Access&wire.Filter != 0 {
				parameter(op, tree{"name": f.Name, "in": "query", "schema": listOf(text), "description": "Those of which this is any of the values."})
			}
			if f.Access&wire.Sort != 0 {
				sortable = append(sortable, f.Name)
			}
		}
		parameter(op, fields())
		if sortable == nil {
			return op
		}
		parameter(op, tree{"name": "sort_key", "in": "query", "schema": listOf(tree{"type": "string", "enum": sortable})})
		parameter(op, tree{"name": "sort_dir", "in": "query", "schema": listOf(tree{"type": "string", "enum": []any{"asc", "desc"}}), "description": "One for each sort_key."})
		parameter(op, tree{"name": "limit", "in": "query", "schema": tree{"type": "integer", "minimum": 0}, "description": "At most so many; 0: all."})
		parameter(op, tree{"name": "marker", "in": "query", "schema": tree{"type": "string", "format": "uuid"}, "description": "Those after this one."})
		parameter(op, tree{"name": "page_reverse", "in": "query", "schema": tree{"type": "boolean"}, "description": "Those before the marker."})
		return op
	case http.MethodPost:
		asks := reference(shape.Name + "_create")
		return asking(does("Create "+single(shape.Name)+", or several, all or none.", http.StatusCreated,
			tree{"oneOf": []any{under(shape.Name, one), under(shape.Collection, listOf(one))}}),
			tree{"oneOf": []any{under(shape.Name, asks), under(shape.Collection, listOf(asks))}})
	}
	return nil
}

func onOne(r route, shape wire.Shape) tree {
	one := under(shape.Name, reference(shape.Name))
	switch r.method {
	case http.MethodGet:
		op := does("Show "+single(shape.Name)+".", http.StatusOK, one)
		parameter(op, fields())
		return op
	case http.MethodPut:
		op := does("Update "+single(shape.Name)+".", http.StatusOK, one)
		parameter(op, matching())
		return asking(op, under(shape.Name, reference(shape.Name+"_update")))
	}
	op := does("Delete "+single(shape.Name)+".", http.StatusNoContent, nil)
	parameter(op, matching())
	return op
}

func fields() tree {
	return tree{"name": "fields", "in": "query", "schema": listOf(text), "description": "Show only these attributes."}
}

func matching() tree {
	return tree{"name": "If-Match", "in": "header", "schema": text, "description": "revision_number=N: only if that is the resource's, else 412."}
}

func plain(name string) string { return strings.ReplaceAll(name, "_", " ") }

// single is a resource's name with its article.
func single(name string) string {
	if strings.HasPrefix(name, "a") || strings.HasPrefix(name, "rbac") {
		return "an " + plain(name)
	}
	return "a " + plain(name)
}

func onTags(r route) tree {
	op := ofTags(r)
	if r.method != http.MethodGet {
		parameter(op, matching())
	}
	return op
}

func ofTags(r route) tree {
	tags := under("tags", listOf(tree{"type": "string", "maxLength": 255}))
	one := strings.HasSuffix(r.path, "/:tag")
	switch {
	case r.method == http.MethodGet && one:
		return does("Answer whether it has the tag.", http.StatusNoContent, nil)
	case r.method == http.MethodGet:
		return does("List its tags.", http.StatusOK, tags)
	case r.method == http.MethodPut && one:
		return does("Add the tag.", http.StatusCreated, tree{"nullable": true})
	case r.method == http.MethodPut:
		return asking(does("Replace its tags.", http.StatusOK, tags), tags)
	case one:
		return does("Remove the tag.", http.StatusNoContent, nil)
	}
	return does("Remove its tags.", http.StatusNoContent, nil)
}

func onBindings(r route) tree {
	binding := reference("binding")
	one := under("binding", binding)
	switch {
	case r.path == portBindings && r.method == http.MethodGet:
		op := does("List the bindings of a port to hosts: the active one, and those that wait.", http.StatusOK, under("bindings", listOf(binding)))
		for _, name := range []string{"host", "vif_type", "vnic_type", "status"} {
			parameter(op, tree{"name": name, "in": "query", "schema": listOf(text), "description": "Those of which this is any of the values."})
		}
		parameter(op, fields())
		return op
	case r.path == portBindings:
		return asking(does("Bind a port to one more host, where it waits.", http.StatusCreated, one), under("binding", reference("binding_create")))
	case r.path == portBindings+"/:host/activate":
		return does("Make a binding that waits the one that counts; the one before waits then.", http.StatusOK, binding)
	case r.method == http.MethodGet:
		op := does("Show a port's binding to a host.", http.StatusOK, one)
		parameter(op, fields())
		return op
	case r.method == http.MethodPut:
		return asking(does("Update a port's binding to a host.", http.StatusOK, one), under("binding", reference("binding_update")))
	}
	return does("Delete a port's binding to a host.", http.StatusNoContent, nil)
}

// besides is what there is beside the verbs that all resources have.
func besides(r route) (op tree, special bool) {
	id := tree{"type": "string", "format": "uuid"}
	number := tree{"type": "integer"}
	extension := exactly(tree{"name": text, "alias": text, "description": text, "updated": text, "links": listOf(tree{})})
	joined := exactly(tree{"id": id, "tenant_id": text, "port_id": id, "network_id": id, "subnet_id": id, "subnet_ids": listOf(id)})
	named := tree{"type": "object", "properties": tree{"subnet_id": id, "port_id": id}, "additionalProperties": false}
	router := under("router", reference("router"))
	cidr := tree{"type": "string", "format": "cidr"}
	prefixes := under("prefixes", listOf(cidr))
	used := exactly(tree{"limit": number, "used": number, "reserved": number})
	switch r.path {
	case "/":
		op = does("Say which versions of the API there are.", http.StatusOK, under("versions", listOf(tree{"type": "object"})))
	case "/openapi.json":
		op = does("Answer this document.", http.StatusOK, tree{"type": "object"})
	case "/healthz":
		op = does("Say that the server lives.", http.StatusOK, nil)
	case "/readyz":
		op = does("Say that the server can answer: its database does.", http.StatusOK, nil)
	case "/v2.0/":
		op = does("List collections.", http.StatusOK, under("resources", listOf(tree{"type": "object"})))
	case "/v2.0/extensions":
		op = does("List extensions, which a client can ask for before it relies on them.", http.StatusOK, under("extensions", listOf(extension)))
	case "/v2.0/extensions/:id":
		op = does("Show an extension.", http.StatusOK, under("extension", extension))
		op["responses"].(tree)["404"] = tree{"description": "There is none.", "content": tree{"text/plain": tree{"schema": text}}}
	case "/v2.0/routers/:id/add_router_interface":
		op = asking(does("Join a subnet to the router, by its gateway address or by a port.", http.StatusOK, joined), named)
	case "/v2.0/routers/:id/remove_router_interface":
		op = asking(does("Take an interface away.", http.StatusOK, joined), named)
	case "/v2.0/routers/:id/add_extraroutes":
		op = asking(does("Add static routes to those there are.", http.StatusOK, router), under("router", reference("router_update")))
	case "/v2.0/routers/:id/remove_extraroutes":
		op = asking(does("Remove some of the static routes.", http.StatusOK, router), under("router", reference("router_update")))
	case "/v2.0/agents/:id/dhcp-networks":
		op = sublistOf("List the networks on which DHCP is answered at the agent's host.", "network")
	case "/v2.0/networks/:id/dhcp-agents":
		op = sublistOf("List the agents of the hosts at which DHCP is answered on the network.", "agent")
	case "/v2.0/agents/:id/l3-routers":
		op = sublistOf("List the routers that have their gateways at the agent's host.", "router")
	case "/v2.0/routers/:id/l3-agents":
		op = sublistOf("List the agent of the host at which the router's gateway is.", "agent")
	case "/v2.0/subnetpools/:id/add_prefixes":
		op = asking(does("Give the pool more blocks, and list all that it has.", http.StatusOK, prefixes), prefixes)
	case "/v2.0/subnetpools/:id/remove_prefixes":
		op = asking(does("Take blocks from the pool of which it has given nothing, and list those that are left.", http.StatusOK, prefixes), prefixes)
	case "/v2.0/subnetpools/:id/onboard_network_subnets":
		op = asking(does("Have a network's subnets be cut from the pool, which gets their blocks.", http.StatusOK, listOf(exactly(tree{"id": id, "cidr": cidr}))),
			under("network_id", id))
	case "/v2.0/quotas/tenant":
		op = does("Tell the caller which project it is.", http.StatusOK, under("tenant", exactly(tree{"tenant_id": text})))
	case "/v2.0/quotas/project":
		op = does("Tell the caller which project it is.", http.StatusOK, under("project", exactly(tree{"project_id": text})))
	case "/v2.0/quotas/:id/default":
		op = does("Show what a project may have of which nothing was said.", http.StatusOK, under("quota", reference("quota")))
	case "/v2.0/quotas/:id/details":
		op = does("Show what a project may have, and what it has.", http.StatusOK, under("quota", tree{"type": "object", "additionalProperties": used}))
	}
	if op != nil && r.method == http.MethodPut && strings.HasPrefix(r.path, "/v2.0/routers/") {
		parameter(op, matching())
	}
	return op, op != nil
}

// sublistOf is a list of some of a resource.
func sublistOf(summary, resource string) tree {
	op := does(summary, http.StatusOK, under(resource+"s", listOf(reference(resource))))
	parameter(op, fields())
	return op
}
