package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// lines is a value as a table shows it: text as it is, a list with each element on a line, what has parts as JSON.
func lines(v rawJSON, indent bool) string {
	var list []rawJSON
	if len(v) == 0 || v[0] != '[' || json.Unmarshal(v, &list) != nil {
		return scalar(v, "", indent)
	}
	each := make([]string, len(list))
	for i, e := range list {
		each[i] = scalar(e, "", indent)
	}
	return strings.Join(each, "\n")
}

// scalar is a value as one text: a string as it is, true and false as Python has them, null as the caller has it.
func scalar(v rawJSON, null string, indent bool) string {
	switch {
	case len(v) == 0 || string(v) == "null":
		return null
	case string(v) == "true":
		return "True"
	case string(v) == "false":
		return "False"
	case v[0] == '"':
		var s string
		_ = json.Unmarshal(v, &s)
		return s
	case indent:
		var b bytes.Buffer
		_ = json.Indent(&b, v, "", "     ")
		return b.String()
	}
	return spaced(v)
}

// spaced is JSON on one line, with a space behind : and , as people write it.
func spaced(v rawJSON) string {
	var b strings.Builder
	inText, escaped := false, false
	for _, c := range v {
		switch {
		case inText:
			b.WriteByte(c)
			if inText = escaped || c != '"'; inText {
				escaped = !escaped && c == '\\'
			}
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
		default:
			b.WriteByte(c)
			inText = c == '"'
			escaped = false
			if c == ',' || c == ':' {
				b.WriteByte(' ')
			}
		}
	}
	return b.String()
}

// pairUp is a JSON object of names and values, in their order.
func pairUp(names []string, values []rawJSON) rawJSON {
	b := []byte{'{'}
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, raw(n)...)
		b = append(b, ':')
		if values[i] == nil {
			b = append(b, "null"...)
		}
		b = append(b, values[i]...)
	}
	return append(b, '}')
}

func writeJSON(w io.Writer, v rawJSON) error {
	var b bytes.Buffer
	if err := json.Indent(&b, v, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

func writeJSONList(w io.Writer, names []string, rows [][]rawJSON) error {
	b := []byte{'['}
	for i, row := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, pairUp(names, row)...)
	}
	return writeJSON(w, append(b, ']'))
}

// yamlMap is a mapping of names and values, in their order.
func yamlMap(names []string, values []rawJSON) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for i, n := range names {
		key := new(yaml.Node)
		key.SetString(n)
		m.Content = append(m.Content, key, yamlValue(values[i]))
	}
	return m
}

// yamlValue reads JSON as the YAML that it is, and has it written without its braces and quotes.
func yamlValue(v rawJSON) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal(v, &doc) != nil || len(doc.Content) == 0 {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	}
	unstyled(doc.Content[0])
	return doc.Content[0]
}

func unstyled(n *yaml.Node) {
	if len(n.Content) > 0 || n.Kind == yaml.ScalarNode {
		n.Style = 0
	}
	for _, c := range n.Content {
		unstyled(c)
	}
}

func writeYAML(w io.Writer, n *yaml.Node) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		return err
	}
	return e.Close()
}

func writeYAMLList(w io.Writer, names []string, rows [][]rawJSON) error {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for _, row := range rows {
		list.Content = append(list.Content, yamlMap(names, row))
	}
	return writeYAML(w, list)
}

// writeValues writes one value a line; null is None, as ever.
func writeValues(w io.Writer, values []rawJSON) error {
	var b strings.Builder
	for _, v := range values {
		b.WriteString(scalar(v, "None", false) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeValueLines writes one object a line; null is nothing.
func writeValueLines(w io.Writer, rows [][]rawJSON) error {
	var b strings.Builder
	for _, row := range rows {
		for i, v := range row {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(scalar(v, "", false))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeShell writes assignments of a shell's. What a shell would take for its own inside quotes is escaped.
func writeShell(w io.Writer, prefix string, names []string, values []rawJSON) error {
	name := strings.NewReplacer(":", "_", "-", "_", " ", "_", "/", "_")
	value := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")
	var b strings.Builder
	for i, n := range names {
		fmt.Fprintf(&b, "%s%s=\"%s\"\n", prefix, name.Replace(strings.ToLower(n)), value.Replace(scalar(values[i], "None", false)))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCSV writes comma-separated values, quoted as asked.
func writeCSV(w io.Writer, quote string, names []string, rows [][]rawJSON) error {
	var b strings.Builder
	line := func(fields []string, quotes func(i int, s string) bool) {
		for i, s := range fields {
			if i > 0 {
				b.WriteByte(',')
			}
			if quotes(i, s) {
				s = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
			}
			b.WriteString(s)
		}
		b.WriteByte('\n')
	}
	needs := func(s string) bool { return strings.ContainsAny(s, "\",\r\n") }
	line(names, func(_ int, s string) bool {
		return quote == "all" || quote == "nonnumeric" || quote == "minimal" && needs(s)
	})
	for _, row := range rows {
		fields := make([]string, len(row))
		for i, v := range row {
			fields[i] = scalar(v, "", false)
		}
		line(fields, func(i int, s string) bool {
			return quote == "all" || quote == "nonnumeric" && !isNumber(string(row[i])) || quote == "minimal" && needs(s)
		})
	}
	_, err := io.WriteString(w, b.String())
	return err
}
