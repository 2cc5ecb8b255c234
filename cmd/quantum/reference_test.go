package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestReferenceIsTheCommandsThatThereAre: the end of docs/quantum.md is every command with its words and its options.
func TestReferenceIsTheCommandsThatThereAre(t *testing.T) {
	const file, heading = "../../docs/quantum.md", "\n## Commands\n"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(string(doc), heading)
	if !found {
		t.Fatalf("%s has no %q", file, heading)
	}
	want := before + heading + reference(newRoot(func(string) string { return "" }, io.Discard, io.Discard))
	if want == string(doc) {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date (-update rewrites it): %s", file, firstDifference(want, string(doc)))
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reference is a table of commands.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("\n`quantum help COMMAND` says what each option means; those of every command that shows something are left out here.\n\n")
	b.WriteString("| command | does | options of its own |\n|---|---|---|\n")
	for _, c := range root.Commands() {
		var own []string
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if _, declared := f.Value.(*heard); declared {
				own = append(own, "`--"+f.Name+"`")
			}
		})
		words := strings.ReplaceAll(strings.Replace(c.Use, " [options]", "", 1), " [--attribute value ...]", "")
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", strings.ReplaceAll(words, "|", "\\|"), c.Short, strings.Join(own, " "))
	}
	return b.String()
}
