package report

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/meshwright/meshwright/sources"
)

// Failed is a merge whose canary has failed, and what is to be undone for it.
type Failed struct {
	Rollouts []string // names
	Title    string   // of the merge's commit, its first line
	Pull     int      // that it merged; 0: none
	Reason   string   // the verdict, in one line, numbers first
	Path     string   // of the specs in the repository; empty: its root
}

// mostLeft is how many files that are left are named.
const mostLeft = 50

// Revert fills in the texts of the pull request that undoes a merge.
func Revert(r sources.Revert, f Failed) sources.Revert {
	reason := strings.TrimRight(clean(f.Reason, maxText), ".")
	canary := "canary"
	if len(f.Rollouts) > 0 {
		canary += " " + strings.Join(f.Rollouts, ", ")
	}
	r.Title = fmt.Sprintf(`Revert "%s"`, clean(f.Title, maxName))
	r.Message = fmt.Sprintf("The %s of %s failed: %s.\n\nThis takes %s back to %s, which is served.\n", clean(canary, maxText), clean(Short(r.Commit), maxName), reason, clean(specs(f.Path), maxText), clean(Short(r.To), maxName))

	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nProxies are back at %s. This takes the files of the specs back there, too: with it merged, git and what is served are one again. "+
		"Or push something better to %s, which has its steps from the start, and close this.\n", failed(r, f), commit(r.To), code(r.Branch))
	if len(r.Left) > 0 {
		fmt.Fprintf(&b, "\n**Not taken back**, for they were changed again after %s. Look what they should be:\n\n%s", commit(r.Commit), left(r.Left))
	}
	r.Body = b.String()
	return r
}

// Outlived is the comment on the pull request that takes a merge back whose canary
// has been completed since, as a commit.
func Outlived(environment, rollout, target string) string {
	var b strings.Builder
	if environment != "" {
		fmt.Fprintf(&b, "%s: ", code(environment))
	}
	fmt.Fprintf(&b, "**Not needed any more**: %s was tried again and is completed with %s, so that git and what is served are one. "+
		"Merged now, this takes that back, at once and without steps: close it, unless that is what you want.\n", code(rollout), commit(target))
	return b.String()
}

// RevertByHand is the comment on the merge's pull request where the daemon could
// not open one of its own, and why.
func RevertByHand(r sources.Revert, f Failed, why error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nProxies are back at %s; %s still has what failed. No pull request could be opened that takes it back: %s\n", failed(r, f), commit(r.To), code(r.Branch), prose(why.Error()))
	if fullHash.MatchString(r.Commit) && fullHash.MatchString(r.To) {
		fmt.Fprintf(&b, "\n```text\ngit fetch origin && git switch -c revert-%s origin/%s\ngit diff --binary %s %s -- %s | git apply --3way\n```\n",
			Short(r.Commit), quoted(r.Branch), r.Commit, r.To, quoted(specs(f.Path)))
	}
	return b.String()
}

// failed says what has failed and why.
func failed(r sources.Revert, f Failed) string {
	what := commit(r.Commit)
	if f.Pull > 0 {
		what += fmt.Sprintf(" (#%d)", f.Pull)
	}
	canary := "The canary"
	for i, name := range f.Rollouts {
		canary += []string{" ", ", "}[min(i, 1)] + code(name)
	}
	return fmt.Sprintf("%s of %s %s", canary, what, prose("failed: "+f.Reason))
}

// left lists files.
func left(files []string) string {
	var b strings.Builder
	for i, file := range files {
		if i == mostLeft {
			fmt.Fprintf(&b, "- and %d more\n", len(files)-i)
			break
		}
		fmt.Fprintf(&b, "- %s\n", code(file))
	}
	return b.String()
}

// specs is the folder of the specs as git takes it.
func specs(path string) string {
	if path == "" {
		return "."
	}
	return path
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)

// quoted is a word of a shell, in one line.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(strings.ReplaceAll(clean(word, maxAddress), "`", ""), "'", `'\''`) + "'"
}
