package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meshwright/meshwright/schema"
)

// Where all of something is to be seen that had no room.
const (
	seePlan    = "`meshwright plan` lists them"
	seeCheck   = "`meshwright check` lists them"
	seeCommits = "`meshwright get commits` has them"
)

// How much is shown of what may be long: who reads more wants a terminal.
const (
	mostErrors = 50
	mostRoutes = 40
	mostRows   = 200
	mostFields = 12 // of one row
	mostLines  = 60 // of an explanation
)

// todo is what the author has to do: rebase, ask for a label, mend.
func todo(p Pull) []section {
	conflicts := section{title: "Conflicts", where: "`git merge` lists them", head: "Changed here and on the branch:\n\n", most: mostErrors}
	for _, f := range p.Conflicts {
		conflicts.rows = append(conflicts.rows, "- "+place(schema.Pos{File: f}, p.Files)+"\n")
	}
	labels := section{title: "Labels", where: "the status has them", head: "Before the check is green:\n\n", most: mostErrors}
	for _, l := range p.Protected {
		labels.rows = append(labels.rows, "- "+prose(l)+"\n")
	}
	errors := findings(p, schema.Error, p.Errors)
	errors.title, errors.most = "Errors", mostErrors
	return []section{conflicts, labels, errors}
}

func warnings(p Pull) section {
	s := findings(p, schema.Warning, p.Warnings)
	s.title, s.most, s.fold = "Warnings", mostRows, true
	return s
}

// findings are the diagnostics of a severity, of which there are so many.
func findings(p Pull, severity schema.Severity, total int) section {
	var cells [][]string
	for _, d := range p.Diagnostics {
		if d.Severity != severity {
			continue
		}
		var what []string
		if d.Resource != (schema.Ref{}) {
			what = append(what, code(d.Resource.String()))
		}
		if d.Path != "" {
			what = append(what, code(d.Path))
		}
		what = append(what, prose(d.What))
		if d.Also != (schema.Pos{}) {
			what = append(what, place(d.Also, p.Files))
		}
		cells = append(cells, []string{place(d.Pos, p.Files), strings.Join(what, ": "), prose(d.Fix)})
	}
	return section{where: seeCheck, unkept: max(total-len(cells), 0)}.table([]string{"Where", "What", "What to do"}, cells)
}

func answers(p Pull) section {
	s := section{title: "Answers", where: seeCommits}
	for _, a := range p.Answers {
		text := " " + prose(a.Text) + "\n\n"
		if strings.Contains(strings.TrimSpace(a.Text), "\n") {
			text = "\n\n" + fence(a.Text, mostLines) + "\n"
		}
		s.rows = append(s.rows, fmt.Sprintf("%s by %s:%s", code(a.Command), code(a.Who), text))
	}
	return s
}

func past(p Pull) section {
	var cells [][]string
	for _, e := range p.Past {
		cells = append(cells, []string{commit(e.Head), prose(e.Verdict), e.When.UTC().Format(time.DateTime) + " UTC"})
	}
	return section{title: "Earlier heads", where: seeCommits, fold: true}.table([]string{"Head", "Verdict", "When"}, cells)
}

// table gives a section rows of cells, without columns in which nothing is.
func (s section) table(columns []string, cells [][]string) section {
	used := make([]bool, len(columns))
	for _, row := range cells {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, cell := range row {
			if used[i] {
				b.WriteString("| " + cell + " ")
			}
		}
		return b.String() + "|\n"
	}
	s.head = line(columns) + line(slices.Repeat([]string{"---"}, len(columns)))
	for _, row := range cells {
		s.rows = append(s.rows, line(row))
	}
	return s
}
