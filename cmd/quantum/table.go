package main

import (
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// table is what people read: a frame of + - and |, a cell of several lines where a value has several.
type table struct {
	header []string
	right  []bool // which columns stand to the right; nil: none
	rows   [][]string
}

// write writes the table; an empty one is an empty line, as ever.
func (t *table) write(w io.Writer) error {
	if len(t.rows) == 0 || len(t.header) == 0 {
		_, err := io.WriteString(w, "\n")
		return err
	}
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			for line := range strings.SplitSeq(printable(cell), "\n") {
				widths[i] = max(widths[i], columns(line))
			}
		}
	}
	var b strings.Builder
	t.rule(&b, widths)
	t.row(&b, widths, t.header)
	t.rule(&b, widths)
	for _, row := range t.rows {
		t.row(&b, widths, row)
	}
	t.rule(&b, widths)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *table) rule(b *strings.Builder, widths []int) {
	for _, n := range widths {
		b.WriteString("+" + strings.Repeat("-", n+2))
	}
	b.WriteString("+\n")
}

func (t *table) row(b *strings.Builder, widths []int, cells []string) {
	height := 1
	split := make([][]string, len(cells))
	for i, c := range cells {
		split[i] = strings.Split(printable(c), "\n")
		height = max(height, len(split[i]))
	}
	for n := range height {
		for i, lines := range split {
			text := ""
			if n < len(lines) {
				text = lines[n]
			}
			pad := strings.Repeat(" ", widths[i]-columns(text))
			if t.right != nil && t.right[i] {
				text = pad + text
			} else {
				text += pad
			}
			b.WriteString("| " + text + " ")
		}
		b.WriteString("|\n")
	}
}

// printable is text that stays in its cell: a tab is a space, and what would move a terminal's cursor or change its
// colours is shown as a mark.
func printable(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// columns is how many columns of a terminal a line takes: a wide character of Chinese, Japanese or Korean takes
// two, a mark that goes onto another none.
func columns(line string) int {
	n := 0
	for _, r := range line {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case isWide(r):
			n += 2
		default:
			n++
		}
	}
	return n
}

func isWide(r rune) bool {
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}
