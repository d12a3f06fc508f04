package report

import (
	"fmt"
	"slices"
	"strings"

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
	mostErrors = 20
	mostRoutes = 12 // that are not folded
	mostRows   = 100
	mostFields = 12 // of one row
	mostLines  = 60 // of an explanation
)

// branch warns of errors that are the branch's.
func branch(p Pull) section {
	s := section{title: "The branch's errors", where: seeCommits}
	if p.Refused != "" && p.After == nil {
		s.rows = []string{"The branch itself has errors: " + commit(p.Refused) + " is refused. Until they are mended, nothing that is merged is served.\n"}
	}
	return s
}

// todo is what the author has to do before the merge: rebase, ask for a label, mend.
func todo(p Pull) []section {
	if p.After != nil {
		p.Conflicts, p.Protected = nil, nil
	}
	conflicts := section{title: "Conflicts", where: "`git merge` lists them", head: "Changed here and on the branch:\n\n", most: mostErrors}
	for _, f := range p.Conflicts {
		conflicts.rows = append(conflicts.rows, "- "+place(schema.Pos{File: f}, p.Files)+"\n")
	}
	var lacks [][]string
	for _, l := range p.Protected {
		lacks = append(lacks, []string{prose(l)})
	}
	// A table, since a list would go on in the one below.
	labels := section{title: "Labels", where: "the status has them", most: mostErrors}.table([]string{"Before the check is green"}, lacks)
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
		what := []string{prose(d.What)}
		if d.Also != (schema.Pos{}) {
			what[0] += ": " + place(d.Also, p.Files)
		}
		if d.Fix != "" {
			what = append(what, prose(d.Fix))
		}
		// The link says where; the resource and the field are for who knows the spec by heart.
		if d.Resource != (schema.Ref{}) || d.Path != "" {
			what = append(what, "<sub>"+about(d)+"</sub>")
		}
		cells = append(cells, []string{place(d.Pos, p.Files), strings.Join(what, "<br>")})
	}
	return section{where: seeCheck, unkept: max(total-len(cells), 0)}.table([]string{"Where", "What"}, cells)
}

// about names a diagnostic's resource and field.
func about(d schema.Diagnostic) string {
	var parts []string
	if d.Resource != (schema.Ref{}) {
		parts = append(parts, code(d.Resource.String()))
	}
	if d.Path != "" {
		parts = append(parts, code(tail(d.Path, 2)))
	}
	return strings.Join(parts, " ")
}

func answers(p Pull) section {
	s := section{title: "Answers", where: seeCommits}
	for _, a := range p.Answers {
		text := " " + prose(a.Text) + "\n\n"
		if strings.Contains(strings.TrimSpace(a.Text), "\n") {
			text = "\n\n" + fence(a.Text, mostLines) + "\n"
		} else if why, usage, ok := strings.Cut(a.Text, "write /meshwright "); ok { // to be copied as it is
			text = " " + prose(why+"write") + " " + code("/meshwright "+usage) + "\n\n"
		}
		s.rows = append(s.rows, fmt.Sprintf("%s by %s:%s", code(a.Command), code(a.Who), text))
	}
	return s
}

func past(p Pull) section {
	var cells [][]string
	for _, e := range p.Past {
		cells = append(cells, []string{commit(e.Head), prose(e.Verdict), e.When.UTC().Format("2006-01-02 15:04 UTC")})
	}
	return section{title: "Earlier heads", where: seeCommits, fold: true}.table([]string{"Head", "Verdict", "When"}, cells)
}

// table gives a section rows of cells, without columns in which nothing is.
func (s section) table(columns []string, cells [][]string) section {
	used := make([]bool, len(columns))
	for _, row := range cells {
		for i, text := range row {
			used[i] = used[i] || text != ""
		}
	}
	line := func(row []string) string {
		var b strings.Builder
		for i, text := range row {
			if used[i] {
				b.WriteString("| " + cell(text) + " ")
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
