package report

import (
	"fmt"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/meshwright/meshwright/schema"
	"github.com/meshwright/meshwright/sources"
	"github.com/meshwright/meshwright/xds"
)

// The kinds of status, last part of a context.
const (
	KindCheck   = "check"   // is the spec valid
	KindPlan    = "plan"    // what would it do
	KindApplied = "applied" // do the proxies have it
	KindCanary  = "canary"  // how far are its rollouts
	KindHealth  = "health"  // how is the traffic since, and is it what is served
)

// Context is the name under which a status stands beside a commit:
// meshwright/KIND, or meshwright/ENVIRONMENT/KIND, so that two daemons can
// watch one repository.
func Context(environment, kind string) string {
	if environment == "" {
		return "meshwright/" + kind
	}
	return "meshwright/" + environment + "/" + kind
}

// Limit is how many runes GitHub takes as a status's description.
const Limit = 140

// Clamp makes s one line of at most [Limit] runes that a terminal and a page can show.
func Clamp(s string) string { return clamp(s, Limit) }

func clamp(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return strings.TrimRight(string([]rune(s)[:limit-1]), " ") + "…"
}

// Short is a commit's hash as people write it.
func Short(commit string) string { return commit[:min(len(commit), 7)] }

// Check is the status of a spec: how many resources and warnings, or the first
// error and how many more there are.
func Check(documents int, found schema.Diagnostics) sources.Status {
	errors := found.Errors()
	if len(errors) == 0 {
		text := schema.Count(documents, "resource")
		if n := len(found); n > 0 {
			text += ", " + schema.Count(n, "warning")
		}
		return sources.Status{State: sources.Success, Description: text}
	}
	more := ""
	if n := len(errors) - 1; n > 0 {
		more = fmt.Sprintf(" (+%d more)", n)
	}
	return sources.Status{State: sources.Failure, Description: shorten(errors[0], Limit-len(more)) + more}
}

// Unread is the check of a commit whose files could not be read.
func Unread(err error) sources.Status {
	return sources.Status{State: sources.Errored, Description: Clamp("could not be read, will be tried again: " + err.Error())}
}

// Applied is how far a commit has come on the proxies, of which connected are
// there at all.
func Applied(p xds.Progress, connected int) sources.Status {
	if n := len(p.Rejected); n > 0 {
		first, more := p.Rejected[0], ""
		if n > 1 {
			more = fmt.Sprintf(" (+%d more)", n-1)
		}
		text := fmt.Sprintf("%s refused %s: %s", first.Proxy, first.Type, first.Message)
		return sources.Status{State: sources.Failure, Description: clamp(text, Limit-len(more)) + more}
	}
	held := ""
	if p.HeldBack > 0 {
		held = fmt.Sprintf("; %d held back: the spec has not what they stand for", p.HeldBack)
	}
	switch {
	case !p.Done():
		return sources.Status{State: sources.Pending, Description: fmt.Sprintf("%d/%d proxies", p.Applied, p.Touched)}
	case p.Touched > 0:
		return sources.Status{State: sources.Success, Description: fmt.Sprintf("%d/%d proxies in %s", p.Applied, p.Touched, Took(p.Took)) + held}
	case connected > 0:
		return sources.Status{State: sources.Success, Description: "no proxy touched, of " + schema.Count(connected, "proxy") + held}
	}
	return sources.Status{State: sources.Success, Description: "no proxies connected"}
}

// Superseded is the end of a commit that a newer one overtook before all
// proxies had it.
func Superseded(by string) sources.Status {
	return sources.Status{State: sources.Errored, Description: "superseded by " + Short(by)}
}

// Refused is the applied status of a commit whose check failed: it went to no
// proxy; serving (or nothing) stays.
func Refused(check, serving string) sources.Status {
	still := "serving nothing yet"
	if serving != "" {
		still = "serving " + Short(serving)
	}
	return sources.Status{State: sources.Failure, Description: Clamp(fmt.Sprintf("refused: see %s; %s", check, still))}
}

// shorten fits a diagnostic's line in so many runes. It gives up first what the
// reader misses least: the word error (the status is red), what to do, the
// folders of the file, the start of the field's path, the resource.
func shorten(d schema.Diagnostic, limit int) string {
	steps := []func(){
		func() {},
		func() { d.Fix = "" },
		func() { d.Pos.File = path.Base(d.Pos.File) },
		func() { d.Path = tail(d.Path, 2) },
		func() { d.Resource = schema.Ref{} },
	}
	line := clamp(d.String(), 1<<16)
	for _, step := range steps {
		if utf8.RuneCountInString(line) <= limit {
			return line
		}
		step()
		line = clamp(strings.Replace(d.String(), string(d.Severity)+": ", "", 1), 1<<16)
	}
	return clamp(line, limit)
}

// tail keeps the last n fields of a path, with … for what it drops.
func tail(fields string, n int) string {
	parts := strings.Split(fields, ".")
	if len(parts) <= n {
		return fields
	}
	return "…" + strings.Join(parts[len(parts)-n:], ".")
}

// Resources counts resources in words.
func Resources(n int) string { return schema.Count(n, "resource") }

// Took is a duration to as many digits as people care for.
func Took(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
}
